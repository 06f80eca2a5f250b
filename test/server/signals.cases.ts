import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface Stopping {
  readonly child: ChildProcess;
  readonly lines: ReturnType<typeof createInterface>;
  readonly port: number;
  /** Asks for an answer that takes so long; resolves when the server has the request. */
  ask(delayMs: number): Promise<{ answer: Promise<string> }>;
  /** The signal or the status that it ended with. */
  readonly ended: Promise<NodeJS.Signals | number>;
}

async function stopping(env: Record<string, string> = {}): Promise<Stopping> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('programs/stopping.js', import.meta.url))], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const lines = createInterface(child.stdout);
  const [port] = (await once(lines, 'line')) as [string];
  return {
    child,
    lines,
    port: Number(port),
    ask: async (delayMs) => {
      const asked = once(lines, 'line');
      const answer = new Promise<string>((resolve) => {
        http
          .get({ port, host: '127.0.0.1', path: `/?delay=${delayMs}`, agent: false }, (response) => {
            response.resume().on('end', () => resolve('answered'));
          })
          .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      });
      await asked;
      return { answer };
    },
    ended: once(child, 'exit').then(([status, signal]) => {
      children.delete(child);
      return (signal ?? status) as NodeJS.Signals | number;
    }),
  };
}

test('each signal finishes what is in flight, and the process dies of that signal', async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const { child, ask, ended } = await stopping();
    const { answer } = await ask(300);
    child.kill(signal);
    assert.equal(await answer, 'answered');
    assert.equal(await ended, signal);
  }
});

test('a second signal ends it at once, and the client sees a reset', async () => {
  const { child, ask, ended } = await stopping();
  const { answer } = await ask(60_000);
  child.kill('SIGTERM');
  const startMs = performance.now();
  setTimeout(() => child.kill('SIGINT'), 200);
  assert.equal(await ended, 'SIGINT');
  assert.ok(performance.now() - startMs < 2000);
  assert.equal(await answer, 'ECONNRESET');
});

test('where the program keeps a handler of its own, the status is the one that a shell gives the signal', async () => {
  const { child, ended } = await stopping({ LISTENER: 'own' });
  child.kill('SIGTERM');
  assert.equal(await ended, 143);
});

test('only the signals that were asked for are handled, and none after the handlers are taken away', async () => {
  const chosen = await stopping({ SIGNALS: 'SIGINT' });
  const asked = await chosen.ask(300);
  chosen.child.kill('SIGINT');
  assert.equal(await asked.answer, 'answered');
  assert.equal(await chosen.ended, 'SIGINT');
  // Named twice, it is handled once: a second signal would cut the answer.
  const twice = await stopping({ SIGNALS: 'SIGTERM,SIGTERM' });
  const late = await twice.ask(300);
  twice.child.kill('SIGTERM');
  assert.equal(await late.answer, 'answered');
  assert.equal(await twice.ended, 'SIGTERM');
  const one = await stopping({ SIGNALS: 'SIGINT' });
  const { answer } = await one.ask(300);
  one.child.kill('SIGTERM');
  assert.equal(await one.ended, 'SIGTERM');
  assert.equal(await answer, 'ECONNRESET');
  const none = await stopping({ LISTENER: 'none' });
  none.child.kill('SIGTERM');
  assert.equal(await none.ended, 'SIGTERM');
});

test("the program's 'exit' listeners run, and it still dies of the signal", async () => {
  const { child, lines, ended } = await stopping({ AT_EXIT: 'yes' });
  const said = once(lines, 'line');
  child.kill('SIGTERM');
  assert.deepEqual(await said, ['exit 143']);
  assert.equal(await ended, 'SIGTERM');
});
