/**
 * The rules against the running kernel: random histories of real sockets in a network namespace of their own.
 * A seed and a number of histories can be given: REBIND_SEED=42 REBIND_HISTORIES=1000 npm test -- live-rules
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const seed = Number(process.env['REBIND_SEED'] ?? Date.now() % 1_000_000);
const histories = Number(process.env['REBIND_HISTORIES'] ?? 60);

/** As root a namespace without a user namespace, because only there sockets of two users can be made. */
const namespaces = [
  ['-npf', '--mount-proc'],
  ['-Urnpf', '--mount-proc'],
];
const flags = namespaces.find((candidate) => spawnSync('unshare', [...candidate, 'true']).status === 0);
const skip =
  process.platform !== 'linux'
    ? 'the rules are those of Linux'
    : flags === undefined
      ? 'unshare(1) cannot make a network namespace here'
      : false;

/** Runs a compiled program of test/live/ in a namespace of its own. */
async function play<T>(name: string, ...args: string[]): Promise<T> {
  const program = fileURLToPath(new URL(`./live/${name}.js`, import.meta.url));
  const command = [...(flags ?? []), process.execPath, '--enable-source-maps', program, ...args];
  const { stdout } = await promisify(execFile)('unshare', command, { maxBuffer: 2 ** 26, timeout: 600_000 });
  return JSON.parse(stdout) as T;
}

interface Played {
  readonly kernel: string;
  readonly uids: readonly number[];
  readonly devices: readonly string[];
  readonly binds: number;
  readonly listens: number;
  readonly refused: number;
  readonly cached: number;
  readonly readings: number;
  readonly differences: readonly { readonly what: string; readonly log: readonly string[] }[];
}

test(`random histories: every bind and listen of the kernel is what the rules say, also over what was read`, {
  skip,
}, async (t) => {
  const played = await play<Played>('play-program', String(seed), String(histories));
  const { differences, ...counts } = played;
  t.diagnostic(`seed ${seed}, ${histories} histories: ${JSON.stringify(counts)}`);
  const shown = differences.map(({ what, log }) => `${what}\n  ${log.join('\n  ')}`).join('\n');
  assert.equal(differences.length, 0, `seed ${seed}:\n${shown}`);
  assert.ok(played.binds >= histories * 5 && played.listens > 0 && played.readings > 0);
  assert.ok(played.refused > 0 && played.refused < played.binds, 'both outcomes were seen');
});

interface Outcome {
  readonly asked: string;
  readonly kernel: string;
  readonly possible: readonly string[];
}

test('what Linux refuses: privileges, addresses, devices, zones and paths, in the order of the errors', {
  skip,
}, async (t) => {
  const outcomes = await play<Outcome[]>('refusals-program');
  const wrong = outcomes.filter(({ kernel, possible }) => !possible.includes(kernel));
  assert.deepEqual(wrong, []);
  const seen = new Set(outcomes.map(({ kernel }) => kernel));
  for (const errno of ['ok', 'EADDRINUSE', 'EADDRNOTAVAIL', 'ENODEV', 'ENOENT']) assert.ok(seen.has(errno), errno);
  const guessed = outcomes.filter(({ kernel, possible }) => possible[0] === kernel).length;
  t.diagnostic(
    `${outcomes.length} binds, ${[...seen].join(' ')}; the likeliest outcome was the kernel's in ${guessed}`,
  );
  // Duplicate address detection may end between reading and binding, nothing else.
  assert.ok(guessed > outcomes.length * 0.95);
});
