/**
 * Unmodified means unmodified: the same program, run plainly and behind each door, says the same, in the same order, and ends the same.
 *
 * `npm test` runs a selection on this Node; `npm run unmodified` runs all of it on every Node that is installed.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodes } from '../hold/harness.ts';
import type { Compared } from './run.ts';

const runner = fileURLToPath(new URL('./run.js', import.meta.url));
const isWhole = process.env['REBIND_UNMODIFIED'] === 'all';
const inside = ['-Urpfn', '--kill-child', '--mount-proc', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh'];
const mayMake = spawnSync('unshare', [...inside, 'true']).status === 0;

for (const { name, path } of isWhole ? nodes() : nodes().slice(0, 1)) {
  test(`${name}: ${isWhole ? 'every program is' : 'programs are'} the same behind each door`, {
    skip: !mayMake
      ? 'this user may not make namespaces'
      : path === null && 'it is not installed: npm ci --prefix test/versions',
  }, async () => {
    const compared = (await Promise.all([0, 1].map((part) => compare(path ?? '', part)))).flat();
    const wrong = compared.filter(({ different }) => different !== null);
    const report = wrong.map(
      ({ program, door, different }) =>
        `${program}, ${door}\n--- plain\n${different?.plain}\n--- behind\n${different?.behind}\n`,
    );
    assert.deepEqual(report, []);
    const programs = new Set(compared.map(({ program }) => program)).size;
    assert.ok(programs >= (isWhole ? 150 : 30), `${programs} programs ran`);
  });
}

/** Half of the programs, in a network namespace of its own. */
async function compare(node: string, part: number): Promise<Compared[]> {
  const args = [...inside, process.execPath, runner, node, '--part', `${part}/2`, ...(isWhole ? [] : ['--always'])];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const compared: Compared[] = [];
  for await (const line of createInterface({ input: child.stdout })) compared.push(JSON.parse(line) as Compared);
  const status = await new Promise((done) =>
    child.exitCode === null ? child.once('exit', done) : done(child.exitCode),
  );
  assert.equal(status, 0, 'the runner failed');
  return compared;
}
