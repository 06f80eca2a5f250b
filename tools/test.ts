/**
 * Runs the test files of the compiled tree. `node --test` alone is not enough: Node 20 takes a folder, Node 22 does not,
 * and both exit with 0 when they find nothing. This fails when no test ran, and when a test that could run here did not.
 *
 * Without words it leaves out the long rings, which `--all` adds, as CI does. Words select files by their path.
 */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative, sep } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../test/', import.meta.url));
const wanted = process.argv.slice(2).filter((word) => word !== '--all');
const isAll = process.argv.includes('--all');

/** Tests that take minutes, by the beginning of their path: what they repeat is tested once in the others. */
const longRings: Readonly<Record<string, readonly string[]>> = {
  load: ['hold/load'],
  restarts: ['hold/restart', 'hold/wrappers'],
  strangers: ['hold/strangers'],
  versions: ['server/versions', 'next/'],
  'live rules': ['live-rules'],
  'causes of connecting': ['reach/causes', 'engines/reach'],
};

/** A file that takes longer hangs: it fails, and is not run again. A slow machine needs a fifth of it. */
const limitMs = 300_000;
const longLimitMs = 1_200_000;

/** More flakes than this fail CI: then it is no longer the machine. */
const mostFlakes = 2;

/** What no installation gives this run: rights that its user has not (or has), and what the machine itself is. */
const notRoot =
  /\b(root|second[ -]user|another user|CAP_[A-Z_]+|may not make a cgroup|range of users in \/etc\/subuid)\b/i;
const ofTheMachine =
  /make namespaces|no mount namespace|no IPv6|no link-local IPv6|cgroup2 is not mounted|cannot unshare|Linux \d|kernel/i;

/** The folders whose tests know no platform; elsewhere than on Linux the rest has nothing to test yet. */
const portable = ['model', 'cli'];

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => process.platform === 'linux' || portable.includes(name.split(sep)[0] ?? ''))
  .filter((name) => (wanted.length === 0 ? isAll || ringOf(name) === null : wanted.some((part) => name.includes(part))))
  .sort()
  .map((name) => join(root, name));

/** `npm run unmodified` runs on every Node what `npm test` runs on one. */
function isForEveryNode(path: string): boolean {
  return process.env['REBIND_UNMODIFIED'] === 'all' && relative(root, path).startsWith('unmodified');
}

/** The long ring that a file belongs to, or null. */
function ringOf(name: string): string | null {
  const path = name.split(sep).join('/');
  const found = Object.entries(longRings).find(([, starts]) => starts.some((start) => path.startsWith(start)));
  return found?.[0] ?? null;
}

interface Failure {
  readonly name: string;
  readonly file: string;
  readonly hung: boolean;
}

interface Pass {
  passed: number;
  readonly failures: Failure[];
  readonly skipped: { readonly name: string; readonly reason: string }[];
}

const took = new Map<string, number>();

// Two at a time. What fails is run once more, alone: these tests watch a real kernel and real processes, and a machine that is
// busy with something else can make one miss its moment. What passes only then is a flake, which is named at the end and counted.
const first = await runFiles(files, Math.max(1, Math.min(2, cpus().length)));
const hung = new Set(first.failures.filter((failure) => failure.hung).map((failure) => failure.file));
const again = [...new Set(first.failures.map((failure) => failure.file))].filter((file) => !hung.has(file));
if (again.length > 0) process.stdout.write(`\n${count(again.length, 'file')} again, one after the other\n\n`);
const second = again.length > 0 ? await runFiles(again, 1) : { passed: 0, failures: [], skipped: [] };
conclude();

/** Milliseconds that the tests of a file took. */
function addTime(file: string, ms: number): void {
  took.set(file, (took.get(file) ?? 0) + ms);
}

/** Runs files and prints what the reporter says of them. */
async function runFiles(paths: readonly string[], concurrency: number): Promise<Pass> {
  const pass: Pass = { passed: 0, failures: [], skipped: [] };
  const isLong = (path: string): boolean => ringOf(relative(root, path)) !== null || isForEveryNode(path);
  await runWithin(
    limitMs,
    pass,
    paths.filter((path) => !isLong(path)),
    concurrency,
  );
  await runWithin(longLimitMs, pass, paths.filter(isLong), concurrency);
  return pass;
}

async function runWithin(timeout: number, pass: Pass, paths: readonly string[], concurrency: number): Promise<void> {
  if (paths.length === 0) return;
  const events = run({ files: [...paths], concurrency, timeout });
  // A process that a test left behind can keep the output of an ended file open for ever.
  const silence = setTimeout(() => {
    process.stderr.write(`\nNo word of a test for ${(timeout + 60_000) / 1000} s: given up\n`);
    process.exit(1);
  }, timeout + 60_000);
  events.on('test:pass', ({ name, skip, todo, details, file, nesting }) => {
    if (nesting === 0) addTime(compiled(file, paths), details.duration_ms);
    if (isSuite(details)) return;
    if (skip !== undefined || todo !== undefined) pass.skipped.push({ name, reason: String(skip ?? todo) });
    else pass.passed++;
  });
  events.on('test:fail', ({ name, file, details }) => {
    // A suite fails with its tests, which are counted themselves; with its hooks it fails alone.
    const reason = (details.error as { failureType?: unknown }).failureType;
    if (isSuite(details) && reason === 'subtestsFailed') return;
    const path = compiled(file, paths);
    pass.failures.push({ name, file: path, hung: reason === 'testTimeoutFailure' && name.endsWith('.js') });
  });
  // The reporter's type lacks the constructor signature that Node 20 has.
  const report = events.compose(spec as unknown as NodeJS.ReadWriteStream);
  report.on('data', (text: string | Buffer) => {
    silence.refresh();
    process.stdout.write(text);
  });
  await once(report, 'end');
  clearTimeout(silence);
}

/** The compiled file behind the one that an event names: with source maps that is the source. */
function compiled(file: string | undefined, paths: readonly string[]): string {
  const stem = (path: string): string => path.replace(/\.[jt]s$/, '');
  const tail =
    file === undefined
      ? ''
      : (stem(file)
          .split(/[\\/]test[\\/]/)
          .at(-1) ?? '');
  return paths.find((path) => path === file || (tail !== '' && stem(path).endsWith(tail))) ?? paths[0] ?? '';
}

/** The counts are the last lines. */
function conclude(): void {
  // A file that failed was run as a whole again: its second run is what counts.
  const recovered = first.failures.filter(
    ({ name, file }) => !hung.has(file) && !second.failures.some((failure) => failure.name === name),
  );
  const passed = first.passed + recovered.length;
  const failures = [...first.failures.filter(({ file }) => hung.has(file)), ...second.failures];
  const failed = failures.length;
  // CI installs what the tests need, so there a test that is skipped although it could run is a hole.
  const strict = process.env['REBIND_TEST_NO_SKIP'] === '1';
  const holes = strict ? first.skipped.filter(({ reason }) => !isImpossibleHere(reason)) : [];
  process.stdout.write('\n');
  for (const [reason, names] of byReason(first.skipped)) {
    const hole = holes.some((one) => one.reason === reason) ? ' (it could have run)' : '';
    const what = names.length === 1 ? names[0]?.name : count(names.length, 'test');
    process.stdout.write(`skipped: ${what}: ${reason}${hole}\n`);
  }
  for (const { name, file } of recovered)
    process.stdout.write(`flake, passed only when run again: ${name} (${relative(root, file)})\n`);
  for (const { name, file } of failures)
    process.stdout.write(
      `${hung.has(file) ? 'failed in a file that hung' : 'failed twice'}: ${name} (${relative(root, file)})\n`,
    );
  if (passed === 0)
    process.stderr.write(`No test ran${wanted.length === 0 ? '' : `: no file matches ${wanted.join(', ')}`}\n`);
  if (holes.length > 0) process.stderr.write(`${holes.length} tests that could run here were skipped\n`);
  const flaky = strict && recovered.length > mostFlakes;
  if (flaky) process.stderr.write(`${recovered.length} flakes, and CI passes with at most ${mostFlakes}\n`);
  if (wanted.length === 0 && !isAll)
    process.stdout.write(`not run: ${Object.keys(longRings).join(', ')} (npm test -- --all)\n`);
  slowest(12);
  const flakes = recovered.length === 0 ? '' : `, ${count(recovered.length, 'flake')}`;
  process.stdout.write(`${passed} passed, ${failed} failed, ${first.skipped.length} skipped${flakes}\n`);
  // Not by itself: a process that a failed test left behind may hold our pipes.
  process.exit(failed > 0 || passed === 0 || holes.length > 0 || flaky ? 1 : 0);
}

/** The files that took longest, where time is to be saved first. */
function slowest(most: number): void {
  if (files.length <= most) return;
  const sorted = [...took].sort(([, a], [, b]) => b - a).slice(0, most);
  const texts = sorted.map(
    ([file, ms]) => `${relative(root, file).replace(/\.test\.js$/, '')} ${(ms / 1000).toFixed(1)} s`,
  );
  process.stdout.write(`slowest: ${texts.join(', ')}\n`);
}

/** True when the reason names something that this run cannot have, whatever is installed. */
function isImpossibleHere(reason: string): boolean {
  const isRoot = process.getuid?.() === 0;
  if (isRoot ? /as an ordinary user/.test(reason) : notRoot.test(reason)) return true;
  if (ofTheMachine.test(reason)) return true;
  // What CI could not install, because it was offline or the system has no such package; .ci/run prints it.
  const missing = (process.env['REBIND_TEST_MISSING'] ?? '').split(/\s+/).filter(Boolean);
  return missing.some((name) => reason.toLowerCase().includes(name));
}

function isSuite(details: { type?: string | undefined }): boolean {
  return details.type === 'suite';
}

function byReason(skipped: Pass['skipped']): Map<string, Pass['skipped']> {
  const groups = new Map<string, Pass['skipped']>();
  for (const one of skipped) groups.set(one.reason, [...(groups.get(one.reason) ?? []), one]);
  return groups;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
