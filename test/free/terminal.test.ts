/** What happens on a terminal: a question, and a line that counts. util-linux's script(1) makes the terminal. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from '../../src/stage/actor-process.ts';
import { findProgram } from '../../src/stage/needs.ts';
import { openStage } from '../../src/stage/open.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { openWorld, type World } from './world.ts';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const skip = findProgram('script') === null ? 'script (of util-linux) is not installed' : false;

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

/** Runs the command on a terminal; types an answer when it is asked. */
async function onTerminal(
  args: string,
  answer: string,
): Promise<{ status: number | null; text: string; answered: boolean }> {
  const line = `exec "${process.execPath}" "${command}" ${args}`;
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...plainEnvironment(), TERM: 'xterm', NO_COLOR: '1' },
  });
  let text = '';
  let answered = false;
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (!answered && text.includes('[y/N]')) {
      answered = true;
      child.stdin.write(answer);
    }
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, text, answered };
}

const listen = (port: number): string =>
  `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'))`;

describe('free on a terminal', { skip }, () => {
  test('asks before it stops the process of another project, and takes yes for yes', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: world.directory });
    const { status, text, answered } = await onTerminal(`free 127.0.0.1:${port}`, 'y\n');
    assert.ok(answered);
    assert.match(text, /To free 127\.0\.0\.1:\d+:/);
    assert.match(text, /another directory/);
    assert.equal(status, 0, text);
    assert.equal(server.isAlive(), false);
  });

  for (const [what, answer] of [
    ['no', 'n\n'],
    ['an empty line', '\n'],
    ['the end of the input', '\x04'],
    ['Ctrl-C', '\x03'],
  ] as const) {
    test(`${what} means no`, async () => {
      const port = stage.freePort();
      const server = await world.node(listen(port), { cwd: world.directory });
      const { status, text } = await onTerminal(`free 127.0.0.1:${port}`, answer);
      assert.equal(status, what === 'Ctrl-C' ? 130 : 1, text);
      assert.ok(server.isAlive());
    });
  }

  test('does not ask about one of the same project', async () => {
    const port = stage.freePort();
    await world.node(listen(port));
    const { status, answered } = await onTerminal(`free 127.0.0.1:${port}`, 'n\n');
    assert.equal(status, 0);
    assert.equal(answered, false);
  });

  test('counts while it waits, and takes the line away', async () => {
    const port = stage.freePort();
    await world.node(`${listen(port)}; process.on('SIGTERM', () => setTimeout(() => process.exit(), 1300))`);
    const { status, text } = await onTerminal(`free 127.0.0.1:${port}`, '');
    assert.equal(status, 0);
    assert.match(text, /waiting for pid \d+ to exit \(10 s left\)/);
    assert.match(text, /\r\x1b\[K127\.0\.0\.1:\d+ is available/);
  });
});
