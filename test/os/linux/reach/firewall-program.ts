/**
 * Runs in a network namespace of its own: for each ruleset one attempt to connect, and what the instruments say of it; a JSON document at the end.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReaching } from '../../../../src/os/linux/reaching.ts';
import { raiseLoopback } from '../../../../src/stage/namespace.ts';

const port = 3_000;
const rulesets = JSON.parse(process.argv[2] ?? '[]') as readonly (readonly string[])[];
// The one in /run is root's.
const lock = join(tmpdir(), `rebind-xtables-${process.ppid}-${Date.now()}.lock`);
const env = { ...process.env, XTABLES_LOCKFILE: lock };
raiseLoopback();
const server = createServer((socket) => socket.on('error', () => {}).end()).listen(port, '0.0.0.0');
await once(server, 'listening');
const reaching = openReaching();
const results: unknown[] = [];
for (const [target = '', ...lines] of rulesets) {
  for (const line of lines) execFileSync('sh', ['-c', line], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const gaps: never[] = [];
  const [address = '', number = ''] = target.split(' ');
  const to = { protocol: 'tcp', address, port: Number(number) } as const;
  const look = reaching.firewall(to, gaps);
  const { attempt, connection } = await reaching.attempt(to, { timeoutMs: 300 }, gaps);
  connection?.close();
  const firewall = look?.after([attempt]) ?? null;
  results.push({ errno: attempt.errno, counters: attempt.counters, refusals: attempt.refusals, firewall, gaps });
}
server.close();
rmSync(lock, { force: true });
process.stdout.write(JSON.stringify(results));
