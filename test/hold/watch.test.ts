import assert from 'node:assert/strict';
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

test('a command that changes what is watched is not restarted for ever: once a second after ten, and it is told once', async () => {
  const logs = join(directory, 'logs');
  mkdirSync(logs);
  const file = join(logs, 'server.log');
  const source = `require('node:http').createServer((_, r) => r.end()).listen(Number(process.env.PORT), '127.0.0.1', () => require('node:fs').appendFileSync(${JSON.stringify(file)}, 'up'))`;
  await using hold = await start({ command: [process.execPath, '-e', source], watch: [logs] });
  await hold.heard('note');
  const before = hold.told.filter(({ name }) => name === 'changed').length;
  assert.equal(before, 10);
  await sleep(3_500);
  const restarts = hold.told.filter(({ name }) => name === 'changed').length - before;
  assert.ok(restarts >= 1 && restarts <= 4, `${restarts} restarts`);
  assert.deepEqual(hold.notes(), [
    `${file} is watched and changes all the time, so the command restarts at most once a second`,
  ]);
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
