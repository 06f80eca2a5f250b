/**
 * `npm run bench -- why [PROCESSES SOCKETS FILES]`: how long an answer takes, as a command, as a call, and on a crowded machine.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { os } from '../src/os/index.ts';
import { explain } from '../src/why.ts';
import { command, race, raceTable } from './measure.ts';
import { ms, type Report } from './tables.ts';

const root = new URL('../../', import.meta.url);
const rounds = 41;

/** @param args How large the crowd is; by default that of the promise: 500 processes, 38,000 sockets, 100,000 descriptors. */
export async function run(args: readonly string[], report: Report): Promise<void> {
  await commands(report);
  await calls(report);
  const size = args.length === 3 ? args : ['500', '76', '121'];
  if (!report.addFromNamespace(new URL('crowd.js', import.meta.url).href, size))
    console.log('\nNot measured: a crowded machine, which needs a namespace, and this machine does not allow it');
}

async function commands(report: Report): Promise<void> {
  const rebind = fileURLToPath(new URL('dist/cli/rebind.cjs', root));
  if (!existsSync(rebind)) throw new Error('Build first: npm run build');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server.address());
  // A port that nobody has, for the tools that would end whoever has it.
  const nobody = createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const free = portOf(nobody.address());
  nobody.close();
  await once(nobody, 'close');
  const node = process.execPath;
  const contestants: Record<string, () => void> = {
    'node -e 0': command(node, ['-e', '0']),
    'rebind why (blocked)': command(node, [rebind, 'why', String(port)], [1]),
    'rebind why (free)': command(node, [rebind, 'why', String(free)], [0]),
    'rebind --help': command(node, [rebind, '--help']),
    // As the first time after it was installed.
    'rebind why (blocked), without kept code': command(node, [rebind, 'why', String(port)], [1], {
      NODE_DISABLE_COMPILE_CACHE: '1',
    }),
  };
  report.add(
    raceTable('command', 'The whole command, on this machine as it is', race(contestants, rounds), 'node -e 0'),
  );

  const peers: Record<string, () => void> = { 'node -e 0': command(node, ['-e', '0']) };
  for (const [name, file, args] of [
    ['kill-port (free port)', 'kill-port/cli.js', [String(free)]],
    ['fkill (free port)', 'fkill-cli/cli.js', ['--silent', `:${free}`]],
  ] as const) {
    const path = fileURLToPath(new URL(`node_modules/${file}`, root));
    if (existsSync(path)) peers[name] = command(node, [path, ...args], [0, 1]);
  }
  report.add(raceTable('peers', 'What others take to look at a port', race(peers, 5), 'node -e 0'));
  server.close();
  await once(server, 'close');
}

/** A call of the library, the first with everything that it loads, and the later ones. */
async function calls(report: Report): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const request = {
    endpoint: { protocol: 'tcp', address: '127.0.0.1', port: portOf(server.address()) },
    options: { reuseAddress: true, reusePort: false, v6Only: false, device: null },
  } as const;
  const call = (): void => {
    const { blockers } = explain(request, os());
    if (blockers[0]?.holders[0]?.pid !== process.pid) throw new Error('the holder was not named');
  };
  const began = performance.now();
  call();
  const firstMs = performance.now() - began;
  const [later] = race({ later: call }, 101);
  report.add({
    name: 'call',
    title: 'A call of the library, on this machine as it is',
    note: '',
    head: ['', 'median', 'fastest'],
    rows: [
      ['the first, with all that it loads', ms(firstMs), ms(firstMs)],
      ['later ones', ms(later?.medianMs ?? Number.NaN), ms(later?.fastestMs ?? Number.NaN)],
    ],
  });
  server.close();
  await once(server, 'close');
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
