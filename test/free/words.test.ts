/** What `free` says to a person: only what is so, and what to do next. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
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
  `const server = require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'));`;

interface Step {
  readonly remedy: string;
  readonly target: { readonly pid?: number };
  readonly onlyIfNeeded: boolean;
}

describe('what free says', () => {
  test('a process that ends a moment after its port is free is not said to be running', async () => {
    for (const atEnd of [
      '',
      "process.on('SIGTERM', () => { server.close(); setTimeout(() => process.exit(), 60); });",
    ]) {
      const port = stage.freePort();
      const server = await world.node(listen(port) + atEnd);
      const { stdout } = await rebind(['free', `127.0.0.1:${port}`], { text: true });
      assert.match(stdout, new RegExp(`^.* is available .*\n  done     Stop .* \\(pid ${server.pid}\\) .*\n$`));
      await server.ended();
    }
  });

  test('the preview asks for --yes only when it was not given', async () => {
    const port = stage.freePort();
    await world.node(listen(port), { cwd: world.directory });
    const dry = await rebind(['free', `127.0.0.1:${port}`, '--dry-run'], { text: true });
    assert.match(dry.stdout, /would {4}Stop [\s\S]+needs --yes: it runs in another directory/);
    const yes = await rebind(['free', `127.0.0.1:${port}`, '--dry-run', '--yes'], { text: true });
    assert.match(yes.stdout, /would {4}Stop [\s\S]+ {11}it runs in another directory/);
    assert.doesNotMatch(yes.stdout, /--yes/);
  });

  test('what needs a yes is not done, and it says how to say it', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: world.directory });
    const { stdout, status } = await rebind(['free', `127.0.0.1:${port}`], { text: true });
    assert.equal(status, 1);
    assert.match(stdout, /not done Stop /);
    assert.match(stdout.replaceAll(/\s+/g, ' '), /it runs in another directory: .*; confirm with --yes/);
    assert.doesNotMatch(stdout, /refused/);
    assert.ok(server.isAlive());
  });

  test('the preview does not announce the end of a process that marking its socket spares', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('binder');
    await (await actor.open()).bind('127.0.0.1', port);
    const { stdout } = await rebind(['free', `127.0.0.1:${port}`, '--dry-run', '--yes'], { text: true });
    assert.match(stdout, /would {4}Mark 1 socket[\s\S]+would {4}Stop .*\n.* only if still needed\n/);
    assert.equal(stdout.match(/only if still needed/g)?.length, 1);
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`, '--yes']);
    assert.equal(status, 0);
    assert.deepEqual(outcomes(json), ['set-option done', 'stop-process skipped']);
    assert.equal(existsSync(`/proc/${actor.pid}`), true);
  });

  test('the preview of a listener and of the worker that inherited it: only the worker may be spared', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open();
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const child = await actor.spawn('worker', [listener]);
    const { json } = await rebind(['free', `127.0.0.1:${port}`, '--dry-run', '--yes']);
    const needs = (json.steps as Step[]).map(({ remedy, target, onlyIfNeeded }) => [remedy, target.pid, onlyIfNeeded]);
    assert.deepEqual(
      needs.sort(),
      [
        ['set-option', undefined, false],
        ['stop-process', actor.pid, false],
        ['stop-process', child.pid, true],
      ].sort(),
    );
  });

  test('steps that cannot be enough are not announced', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `${listen(port)} server.on('listening', () => {
        const command = ${JSON.stringify([process.execPath, new URL('../../src/cli/main.js', import.meta.url).pathname])};
        const run = require('child_process').spawn(command[0], [command[1], 'free', '127.0.0.1:${port}', '--dry-run'], { stdio: ['ignore', 'inherit', 'inherit'] });
        run.on('close', () => console.log('answered'));
      })`,
    );
    await server.line(/answered/);
    assert.match(server.printed(), /not done Stop [\s\S]+runs inside it/);
    assert.doesNotMatch(server.printed(), /would/);
  });

  test('where nothing can be stopped, it says what to do', async () => {
    const { stdout, status } = await rebind(['free', `192.0.2.1:${stage.freePort()}`], { text: true });
    assert.equal(status, 1);
    assert.match(
      stdout,
      / is not available\n192\.0\.2\.1 is not [\s\S]*\n\nWhat to do\n {2}Listen [\s\S]*\n\nEADDRNOTAVAIL: rebind help address-not-here\n$/,
    );
    assert.doesNotMatch(stdout, /^ *or:/m);
  });

  test('a file that is not a socket is not called the file of a socket', async () => {
    const path = stage.file('app.sock', 'not a socket\n');
    const { stdout, status } = await rebind(['free', path], { text: true });
    assert.equal(status, 1);
    const text = stdout.replaceAll(/\s+/g, ' ');
    assert.match(text, /not done Remove \S+ it is not a socket, and rebind removes nothing else/);
    assert.ok(existsSync(path));
  });
});
