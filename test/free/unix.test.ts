/** Unix sockets: live servers, files that they left, and files that are something else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { removeSocketFile } from '../../src/act/leftovers.ts';
import { os } from '../../src/os/index.ts';
import { openStage } from '../../src/stage/open.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { openWorld, outcomes, rebind, type World } from './world.ts';

let world: World;
let stage: Stage;
beforeEach(() => {
  world = openWorld();
  stage = openStage();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

const serve = (path: string): string =>
  `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`;

describe('free a Unix socket', () => {
  test('a path where nothing is', async () => {
    const { status, json } = await rebind(['free', join(world.directory, 'app.sock')]);
    assert.equal(status, 0);
    assert.deepEqual(json.steps, []);
  });

  test('a live server is asked to stop, and what it leaves is removed', async () => {
    const path = join(world.directory, 'app.sock');
    const server = await world.node(serve(path));
    const { status, json } = await rebind(['free', path]);
    assert.equal(status, 0, JSON.stringify(json));
    assert.deepEqual(outcomes(json), ['stop-process done', 'remove-file done']);
    assert.equal(await server.ended(), 'SIGTERM');
    const again = createServer().listen(path);
    await once(again, 'listening');
    again.close();
  });

  test('the file of a server that was killed is removed', async () => {
    const path = join(world.directory, 'app.sock');
    const server = await world.node(serve(path));
    server.child.kill('SIGKILL');
    await once(server.child, 'exit');
    const { status, json } = await rebind(['free', path]);
    assert.equal(status, 0);
    assert.deepEqual(outcomes(json), ['remove-file done']);
    assert.deepEqual(readdirSync(world.directory), []);
  });

  test('a relative path is the same file', async () => {
    const server = await world.node(serve('app.sock'), { cwd: world.directory });
    const { status } = await rebind(['free', './app.sock'], { cwd: world.directory });
    assert.equal(status, 0);
    await server.ended();
    assert.deepEqual(readdirSync(world.directory), []);
  });

  test('a server that is bound and does not listen yet keeps its file', async () => {
    const path = join(world.directory, 'app.sock');
    const actor = await stage.actor('slow');
    await (await actor.open({ kind: 'unix' })).bindPath(path);
    const { status, json } = await rebind(['free', path]);
    assert.equal(status, 1);
    assert.ok(lstatSync(path).isSocket());
    assert.ok(
      json.steps.every((step: { outcome: string }) => step.outcome !== 'done'),
      JSON.stringify(json.steps),
    );
  });

  for (const [what, make] of [
    ['a plain file', (path: string) => writeFileSync(path, 'precious')],
    ['a link that leads nowhere', (path: string) => symlinkSync('/nowhere', path)],
  ] as const) {
    test(`${what} at the path is never removed`, async () => {
      const path = join(world.directory, 'app.sock');
      make(path);
      const { status, json } = await rebind(['free', path, '--yes', '--force']);
      assert.equal(status, 1, JSON.stringify(json));
      assert.ok(lstatSync(path));
    });
  }

  test('a server that comes between the look and the removal keeps its file', async () => {
    const path = join(world.directory, 'app.sock');
    const dead = await world.node(serve(path));
    dead.child.kill('SIGKILL');
    await once(dead.child, 'exit');
    const { ino } = lstatSync(path);
    // Another file by now.
    await rebind(['free', path]);
    const fresh = await world.node(serve(path));
    const now = lstatSync(path).ino;
    const result = removeSocketFile(os(), path, ino === now ? now + 1 : ino);
    assert.equal(result.outcome, 'refused');
    // The same file, but alive.
    assert.equal(removeSocketFile(os(), path, now).outcome, 'refused');
    assert.ok(existsSync(path) && fresh.isAlive());
    assert.deepEqual(readdirSync(world.directory), ['app.sock']);
  });

  test('an abstract name is freed by stopping its server', async () => {
    const name = `rebind-test-${process.pid}-${Date.now()}`;
    // Not by Node: its libuv pads the name with NUL bytes up to Node 20, which is another name.
    const actor = await stage.actor('server');
    const socket = await actor.open({ kind: 'unix' });
    await socket.bindPath(`\0${name}`);
    await socket.listen();
    const { status, json } = await rebind(['free', `unix:@${name}`, '--yes']);
    assert.equal(status, 0, JSON.stringify(json));
    assert.deepEqual(outcomes(json), ['stop-process done']);
  });
});
