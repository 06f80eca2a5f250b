/** Removing the file of a socket: only what is proven dead, and only where nobody else leads the path elsewhere. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { removeSocketFile } from '../../src/act/leftovers.ts';
import { os } from '../../src/os/index.ts';
import { missing } from '../../src/stage/needs.ts';
import { openWorld, rebind, type World } from '../free/world.ts';

const needsRoot = missing(['root']) ?? false;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rebind-leftovers-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The file of a socket that nobody has open: renamed before its server is closed, so that Node does not find it to remove it. */
async function leave(path: string): Promise<void> {
  const server = createServer().listen(`${path}.live`);
  await once(server, 'listening');
  renameSync(`${path}.live`, path);
  server.close();
  await once(server, 'close');
}

describe('the file of a socket that nobody has open', () => {
  test('is removed, also by a second name, and the other name stays', async () => {
    await leave(join(folder, 'a'));
    linkSync(join(folder, 'a'), join(folder, 'b'));
    assert.deepEqual(removeSocketFile(os(), join(folder, 'a'), null), { outcome: 'done', why: null });
    assert.deepEqual(readdirSync(folder), ['b']);
  });

  test('is removed through a link of our own, and never when it is a link itself', async () => {
    mkdirSync(join(folder, 'real'));
    await leave(join(folder, 'real/a'));
    symlinkSync('real', join(folder, 'current'));
    symlinkSync('real/a', join(folder, 'link'));
    assert.equal(removeSocketFile(os(), join(folder, 'link'), null).outcome, 'refused');
    assert.equal(removeSocketFile(os(), join(folder, 'current/a'), null).outcome, 'done');
    assert.deepEqual(readdirSync(join(folder, 'real')), []);
    assert.ok(lstatSync(join(folder, 'link')).isSymbolicLink());
  });

  test('a round of links, a part that is no directory and a path that is missing are answers', async () => {
    symlinkSync('round', join(folder, 'round'));
    writeFileSync(join(folder, 'plain'), '');
    assert.deepEqual(removeSocketFile(os(), join(folder, 'round/a'), null), { outcome: 'refused', why: 'ELOOP' });
    assert.deepEqual(removeSocketFile(os(), join(folder, 'plain/a'), null), { outcome: 'refused', why: 'ENOTDIR' });
    assert.equal(removeSocketFile(os(), join(folder, 'missing/a'), null).outcome, 'skipped');
    assert.equal(removeSocketFile(os(), join(folder, 'missing'), null).outcome, 'skipped');
    assert.equal(removeSocketFile(os(), `${folder}/`, null).outcome, 'refused');
  });

  test('no descriptor stays open, whatever the outcome', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    await leave(join(folder, 'a'));
    symlinkSync('round', join(folder, 'round'));
    const before = open();
    for (const name of ['a', 'a', 'round/a', 'missing/a', '.']) removeSocketFile(os(), join(folder, name), null);
    assert.equal(open(), before);
  });
});

describe('what another user could exchange', { skip: needsRoot }, () => {
  const mallory = 65_534;

  test('root removes nothing in a directory of another user, above it, or through a link of another user', async () => {
    mkdirSync(join(folder, 'theirs/ours'), { recursive: true });
    mkdirSync(join(folder, 'real'));
    for (const path of ['theirs/a', 'theirs/ours/a', 'real/a']) await leave(join(folder, path));
    chownSync(join(folder, 'theirs'), mallory, mallory);
    symlinkSync('real', join(folder, 'link'));
    lchownSync(join(folder, 'link'), mallory, mallory);
    for (const path of ['theirs/a', 'theirs/ours/a', 'link/a']) {
      const { outcome, why } = removeSocketFile(os(), join(folder, path), null);
      assert.deepEqual([outcome, /user 65534/.test(why ?? '')], ['refused', true], `${path}: ${why}`);
    }
    assert.deepEqual(readdirSync(join(folder, 'real')), ['a']);
  });

  test('while a user exchanges the directory for a link, what the link leads to is never touched', async () => {
    const [theirs, victim] = [join(folder, 'theirs'), join(folder, 'victim')];
    mkdirSync(join(theirs, 'd'), { recursive: true });
    mkdirSync(victim);
    await leave(join(theirs, 'd/a'));
    await leave(join(victim, 'a'));
    symlinkSync(victim, join(theirs, 'l'));
    for (const path of [theirs, join(theirs, 'd')]) chownSync(path, mallory, mallory);
    // Node has no renameat2: three renames make the same exchange, with a moment in between in which nothing is there.
    const flip = `const fs = require('fs'); for (;;) for (const [from, to] of [['d', 't'], ['l', 'd'], ['d', 'l'], ['t', 'd']]) fs.renameSync(from, to)`;
    const attacker = spawn(process.execPath, ['-e', `${flip}`], { cwd: theirs, uid: mallory, gid: mallory });
    try {
      const outcomes = new Set<string>();
      for (const end = performance.now() + 1_500; performance.now() < end; )
        outcomes.add(removeSocketFile(os(), join(theirs, 'd/a'), null).outcome);
      assert.ok(!outcomes.has('done'), [...outcomes].join());
      assert.deepEqual(readdirSync(victim), ['a']);
    } finally {
      attacker.kill('SIGKILL');
      await once(attacker, 'exit');
    }
  });
});

describe('a server in another network namespace', { skip: missing(['root']) ?? false }, () => {
  let world: World;
  beforeEach(() => {
    world = openWorld();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  test('is named, keeps its file, and never hears of the question', async () => {
    const program = `require('net').createServer(() => { console.log('disturbed'); process.exit(1) }).listen('app.sock', () => console.log('ready'))`;
    const server = await world.run(['unshare', '-n', process.execPath, '-e', program], /^ready/m, {
      cwd: world.directory,
    });
    const path = join(world.directory, 'app.sock');
    const why = await rebind(['why', path]);
    assert.equal(why.status, 1);
    assert.match(
      why.json.verdict.sentence,
      /^node -e \(pid \d+\) listens on .*, in another network namespace(; npm .* started it)?$/,
    );
    assert.equal(removeSocketFile(os(), path, null).outcome, 'refused');
    assert.ok(existsSync(path) && server.isAlive());
    assert.doesNotMatch(server.printed(), /disturbed/);
  });
});
