import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hold as open } from '../../src/hold/index.ts';
import { run } from './command.ts';
import { fixture, freePort, get, type Held, start } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-watch-'));
after(() => rmSync(directory, { recursive: true }));
const plain = [process.execPath, fixture('server.cjs')];
let count = 0;
const noLimits =
  spawnSync('unshare', ['-Ur', 'sh', '-c', 'echo 99 > /proc/sys/user/max_inotify_watches']).status !== 0 &&
  'needs user namespaces whose limits can be set';

/** A directory with a program that answers this. */
function release(answer: string): string {
  const path = join(directory, `release-${++count}`);
  mkdirSync(path);
  writeFileSync(
    join(path, 'server.cjs'),
    `require('node:http').createServer((_, r) => r.end('${answer}')).listen(Number(process.env.PORT), '127.0.0.1')`,
  );
  return path;
}

/** Exactly so many generations were started, also a while later. */
async function started(hold: Held, times: number): Promise<void> {
  await hold.heard('ready', times);
  await sleep(500);
  assert.equal(hold.told.filter(({ name }) => name === 'ready').length, times);
}

for (const [how, replace] of [
  [
    'removed and made again',
    (dist: string) => {
      rmSync(dist, { recursive: true });
      mkdirSync(dist);
      cpSync(release('two'), dist, { recursive: true });
    },
  ],
  [
    'moved away, and another moved to its place',
    (dist: string) => {
      renameSync(dist, `${dist}.old`);
      renameSync(release('two'), dist);
    },
  ],
  [
    'removed together with the directory that it is in',
    async (dist: string) => {
      rmSync(join(dist, '..'), { recursive: true });
      // Longer than a change takes to be over.
      await sleep(300);
      mkdirSync(join(dist, '..'));
      renameSync(release('two'), dist);
    },
  ],
] as const)
  test(`a watched directory that is ${how} restarts once, and is watched from then on`, async () => {
    const dist = join(directory, `build-${++count}`, 'dist');
    mkdirSync(join(dist, '..'));
    renameSync(release('one'), dist);
    await using hold = await start({ command: [process.execPath, join(dist, 'server.cjs')], watch: [dist] });
    await hold.heard('ready');
    await replace(dist);
    await started(hold, 2);
    assert.equal(await get(hold.port), 'two');
    cpSync(join(release('three'), 'server.cjs'), join(dist, 'server.cjs'));
    await started(hold, 3);
    assert.equal(await get(hold.port), 'three');
  });

test('a watched link that points to another release restarts once', async () => {
  const link = join(directory, 'current');
  symlinkSync(release('one'), link);
  await using hold = await start({ command: [process.execPath, join(link, 'server.cjs')], watch: [link] });
  await hold.heard('ready');
  symlinkSync(release('two'), `${link}.new`);
  renameSync(`${link}.new`, link);
  await started(hold, 2);
  assert.equal(await get(hold.port), 'two');
});

test('a watched file that is replaced by renaming restarts each time, and one that was removed hides no other', async () => {
  const [file, other] = [join(directory, 'file'), join(directory, 'other')];
  for (const path of [file, other]) writeFileSync(path, '');
  await using hold = await start({ command: plain, watch: [file, other] });
  await hold.heard('ready');
  for (const times of [2, 3]) {
    writeFileSync(`${file}.new`, '');
    renameSync(`${file}.new`, file);
    await started(hold, times);
  }
  rmSync(file);
  await started(hold, 3);
  writeFileSync(other, 'edited');
  await started(hold, 4);
  writeFileSync(file, 'back');
  await started(hold, 5);
});

test('a command that changes what is watched is not restarted for ever: it waits longer each time, and the file is named once', async () => {
  const logs = join(directory, 'logs');
  mkdirSync(logs);
  const file = join(logs, 'server.log');
  const source = `require('node:http').createServer((_, r) => r.end()).listen(Number(process.env.PORT), '127.0.0.1', () => require('node:fs').appendFileSync(${JSON.stringify(file)}, 'up'))`;
  const edited = join(logs, 'edited.js');
  writeFileSync(edited, '');
  await using hold = await start({ command: [process.execPath, '-e', source], watch: [logs] });
  await hold.heard('note');
  const changes = (): number => hold.told.filter(({ name }) => name === 'changed').length;
  assert.equal(changes(), 3);
  await sleep(3_500);
  // After one second and after two more.
  assert.ok(changes() <= 5, `${changes()} restarts`);
  assert.equal(hold.notes().length, 1);
  assert.match(hold.notes()[0] ?? '', /^The command seems to change \S+server\.log after each start/);
  writeFileSync(edited, 'by a person');
  while (!changed(hold).includes(edited)) await hold.heard('changed', changes() + 1);
});

/** The paths that were told as changed. */
function changed(hold: Held): string[] {
  return hold.told.filter(({ name }) => name === 'changed').map(({ event }) => (event as { path: string }).path);
}

test('the directory behind a link on the way is exchanged, as Kubernetes does for a ConfigMap: each exchange restarts', async () => {
  const mount = join(directory, 'mount');
  mkdirSync(mount);
  for (const version of ['1', '2', '3']) {
    mkdirSync(join(mount, `..${version}`));
    writeFileSync(join(mount, `..${version}`, 'config'), version);
  }
  symlinkSync('..1', join(mount, '..data'));
  symlinkSync('..data/config', join(mount, 'config'));
  for (const path of [join(mount, 'config'), mount]) {
    await using hold = await start({ command: plain, watch: [path] });
    await hold.heard('ready');
    for (const [index, version] of ['2', '3'].entries()) {
      symlinkSync(`..${version}`, join(mount, 'new'));
      renameSync(join(mount, 'new'), join(mount, '..data'));
      await hold.heard('ready', index + 2);
    }
  }
});

test('the file that a person edits is named, not what the editor makes for itself', async () => {
  const project = join(directory, 'project');
  mkdirSync(join(project, 'src'), { recursive: true });
  const file = join(project, 'src', 'app.js');
  writeFileSync(file, '');
  await using hold = await start({ command: plain, watch: [project] });
  await hold.heard('ready');
  // sed -i and many editors: a file of another name that is renamed. vim: a probe, a backup, a new file.
  writeFileSync(join(project, 'src', 'sedXq2F1'), 'one');
  renameSync(join(project, 'src', 'sedXq2F1'), file);
  await hold.heard('ready', 2);
  writeFileSync(join(project, 'src', '4913'), '');
  rmSync(join(project, 'src', '4913'));
  renameSync(file, `${file}~`);
  writeFileSync(file, 'two');
  await hold.heard('ready', 3);
  writeFileSync(join(project, 'src', 'came-and-went'), '');
  rmSync(join(project, 'src', 'came-and-went'));
  await started(hold, 3);
  assert.deepEqual(changed(hold), [file, file]);
});

test('directories that are made later are watched, and a directory without files starts nothing', async () => {
  const project = join(directory, 'growing');
  mkdirSync(project);
  await using hold = await start({ command: plain, watch: [project] });
  await hold.heard('ready');
  mkdirSync(join(project, 'a', 'b'), { recursive: true });
  await started(hold, 1);
  writeFileSync(join(project, 'a', 'b', 'file'), '');
  await hold.heard('ready', 2);
  rmSync(join(project, 'a'), { recursive: true });
  await hold.heard('ready', 3);
  mkdirSync(join(project, 'a'));
  writeFileSync(join(project, 'a', 'file'), '');
  await started(hold, 4);
});

const limited = ['unshare', '-Ur', 'sh', '-c'];
for (const [name, limit, said] of [
  [
    'watched directories',
    'max_inotify_watches',
    /1[0-9] watched directories are looked at once a second, because the limit fs\.inotify\.max_user_watches is reached/,
  ],
  [
    'watchers',
    'max_inotify_instances',
    /looked at once a second, because the limit fs\.inotify\.max_user_instances is reached/,
  ],
] as const)
  test(`the limit of ${name} is told, and a change is seen all the same`, { skip: noLimits }, async () => {
    const tree = join(directory, `tree-${++count}`);
    for (let i = 0; i < 20; i++) mkdirSync(join(tree, `d${i}`), { recursive: true });
    const port = await freePort();
    const few = limit === 'max_inotify_watches' ? 10 : 0;
    await using held = run(['hold', `127.0.0.1:${port}`, '--watch', tree, '--', ...plain], {
      before: [...limited, `echo ${few} > /proc/sys/user/${limit} && exec "$0" "$@"`],
      env: { PORT: String(port), HOST: '127.0.0.1' },
    });
    await held.printed(said);
    await held.printed(/\(pid \d+\) is ready/);
    for (const [index, name] of ['d0', 'd19'].entries()) {
      writeFileSync(join(tree, name, 'file'), '');
      await held.printed(new RegExp(`Starting generation ${index + 2} .*${name}/file changed`));
      await held.printed(new RegExp(`Generation ${index + 2} .* is ready`));
    }
  });

test('a file that the command has open for writing does not restart it, and that is told once', async () => {
  const folder = join(directory, `log-${++count}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'app.log'), '');
  writeFileSync(
    join(folder, 'server.cjs'),
    `const log = require('node:fs').createWriteStream(${JSON.stringify(join(folder, 'app.log'))}, { flags: 'a' });
    setInterval(() => log.write('alive\\n'), 50);
    require('node:http').createServer((_, r) => r.end('x')).listen(Number(process.env.PORT), '127.0.0.1')`,
  );
  const port = await freePort();
  const command = [process.execPath, join(folder, 'server.cjs')];
  await using hold = await start({ command, port, watch: [folder] });
  const { sentence } = await hold.heard('note');
  assert.match(sentence, /^The command \(pid \d+\) writes \S+app\.log itself, so that file does not restart it/);
  await started(hold, 1);
  // It never is quiet, and an edit is seen all the same.
  writeFileSync(join(folder, 'other.cjs'), '1');
  await hold.heard('ready', 2);
});

test('a path to watch that does not exist is an error of usage, and nothing is started', async () => {
  await assert.rejects(open({ command: plain, watch: ['nosuchdir'] }), (error: unknown) => {
    assert.ok(error instanceof RangeError);
    assert.equal(error.message, 'There is no file or directory nosuchdir to watch');
    return true;
  });
  await using held = run(['hold', String(await freePort()), '-w', 'nosuchdir', '--', ...plain]);
  assert.equal(await held.ended, 2);
  assert.equal(held.stderr(), 'rebind: There is no file or directory nosuchdir to watch\n');
});
