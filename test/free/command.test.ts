/** The command: what it prints, over several endpoints, and that --dry-run is the plan. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
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

const listen = (port: number): string =>
  `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'))`;

describe('the command free', () => {
  test('--dry-run touches nothing, and prints the very steps that are done without it', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open();
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const dry = await rebind(['free', `127.0.0.1:${port}`, '--dry-run', '--yes']);
    assert.equal(dry.status, 1);
    assert.equal(dry.json.bindable, false);
    assert.deepEqual(outcomes(dry.json), ['set-option skipped', 'stop-process skipped']);
    const real = await rebind(['free', `127.0.0.1:${port}`, '--yes']);
    assert.equal(real.status, 0);
    const plain = (json: { steps: { remedy: string; sentence: string; target: object }[] }): object[] =>
      json.steps.map(({ remedy, sentence, target }) => ({ remedy, sentence, target }));
    assert.deepEqual(plain(dry.json), plain(real.json));
  });

  test('one endpoint that stays blocked does not keep the others from being freed, and decides the exit status', async () => {
    const [mine, theirs, free] = [stage.freePort(), stage.freePort(), stage.freePort()];
    await world.node(listen(theirs), { cwd: world.directory });
    const server = await world.node(listen(mine));
    const { status, json } = await rebind(['free', ...[theirs, mine, free].map((port) => `127.0.0.1:${port}`)]);
    assert.equal(status, 1);
    assert.deepEqual(
      json.results.map(({ bindable }: { bindable: boolean }) => bindable),
      [false, true, true],
    );
    assert.equal(server.isAlive(), false);
    const again = await rebind(['free', ...[mine, free].map((port) => `127.0.0.1:${port}`)]);
    assert.equal(again.status, 0);
  });

  test('a wrong endpoint among right ones: nothing is done at all', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port));
    const { status } = await rebind(['free', `127.0.0.1:${port}`, '99999']);
    assert.equal(status, 2);
    assert.ok(server.isAlive());
  });

  for (const [flag, value] of [
    ['--grace', 'soon'],
    ['--timeout', '-5'],
    ['--timeout', '99d'],
  ] as const) {
    test(`${flag} ${value} is refused before anything is done`, async () => {
      const port = stage.freePort();
      const server = await world.node(listen(port));
      const { status, stderr } = await rebind(['free', String(port), `${flag}=${value}`]);
      assert.equal(status, 2);
      assert.match(stderr, /length of time/);
      assert.ok(server.isAlive());
    });
  }

  test('the text says what was done, and what is in the way', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port));
    const planned = await rebind(['free', `127.0.0.1:${port}`, '--dry-run'], { text: true });
    assert.match(planned.stdout, new RegExp(`would +Stop node -e \\(pid ${server.pid}\\) with SIGTERM`));
    const { stdout, stderr, status } = await rebind(['free', `127.0.0.1:${port}`], { text: true });
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^127\\.0\\.0\\.1:${port} is available \\(\\d`));
    assert.match(stdout, new RegExp(`done +Stop node -e \\(pid ${server.pid}\\) with SIGTERM`));
    assert.equal(stderr, '');
    const nothing = await rebind(['free', `127.0.0.1:${port}`], { text: true });
    assert.match(nothing.stdout, /is available; nothing was done/);
  });

  test('a process whose name is an attack on the terminal is spelled out', async () => {
    const port = stage.freePort();
    await world.node(`process.title = '\\x1b[2Jevil'; ${listen(port)}`, { cwd: world.directory });
    const { stdout } = await rebind(['free', `127.0.0.1:${port}`, '--dry-run'], { text: true });
    assert.ok(!stdout.includes('\x1b[2J'));
    assert.match(stdout, /\\x1b\[2Jevil/);
  });
});
