/**
 * hold that is asked to stop by an orchestrator: it goes on accepting until nobody is sent to it, says so to those who ask, and ends well.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isBlockedPortError } from '../../src/errors.ts';
import { listen } from '../../src/server/listen.ts';
import { run } from './command.ts';
import { fixture, type Held, start } from './harness.ts';

const serve = `require('node:http').createServer((_, response) => setTimeout(() => response.end('ok'), 5)).listen(process.env.PORT, '127.0.0.1')`;
const command = [process.execPath, '-e', serve];

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly connection: string | undefined;
}

function ask(port: number, path: string, agent: http.Agent | false = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = http.get({ port, host: '127.0.0.1', path, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text, connection: response.headers.connection }),
      );
    });
    call.on('error', reject);
  });
}

function healthOf({ held }: Held): number {
  assert.ok(held.healthPort !== null);
  return held.healthPort;
}

test('an unmodified program loses nobody: not ready, answers that say close, then refused, then the end', async () => {
  await using hold = await start({ command, lameDuckMs: 600, healthPort: 0 });
  const health = healthOf(hold);
  await hold.heard('ready');
  assert.deepEqual(await ask(health, '/readyz'), { status: 200, text: 'ready\n', connection: 'close' });
  const lost: unknown[] = [];
  let isOut = false;
  let answered = 0;
  const said = new Set<string | undefined>();
  const client = async (agent: http.Agent | false): Promise<void> => {
    while (!isOut)
      try {
        const { status, connection } = await ask(hold.port, '/', agent);
        if (hold.told.some(({ name }) => name === 'stopping') && agent !== false) said.add(connection);
        if (status === 200) answered++;
        else lost.push(status);
        await sleep(5);
      } catch (error) {
        lost.push(error);
      }
  };
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const clients = [client(false), client(agent)];
  await sleep(150);
  const before = answered;
  const done = hold.held.stop('SIGTERM');
  assert.deepEqual(await ask(health, '/readyz'), { status: 503, text: 'closing\n', connection: 'close' });
  assert.equal((await ask(health, '/livez')).status, 200);
  await sleep(300);
  isOut = true;
  await Promise.all(clients);
  agent.destroy();
  assert.deepEqual(lost, []);
  assert.ok(answered > before && before > 0);
  assert.ok(said.has('close'), `answers said ${[...said]}`);
  assert.equal((await hold.held.restart()).outcome, 'refused');
  await done;
  await assert.rejects(ask(health, '/livez'));
});

test('auto waits for those who ask, and for nobody else', async () => {
  await using quiet = await start({ command, lameDuckMs: 'auto', healthPort: 0 });
  await quiet.heard('ready');
  await quiet.held.stop('SIGTERM');
  assert.equal(
    quiet.told.some(({ name }) => name === 'leaving'),
    false,
  );
  await using asked = await start({ command, lameDuckMs: 'auto', healthPort: 0 });
  await asked.heard('ready');
  for (let index = 0; index < 4; index++) {
    await ask(healthOf(asked), '/readyz');
    await sleep(40);
  }
  const startMs = performance.now();
  await asked.held.stop('SIGTERM');
  const { forMs } = await asked.heard('leaving');
  assert.ok(forMs > 1000 && forMs < 3000, `${forMs} ms`);
  assert.ok(performance.now() - startMs >= forMs);
});

test('a second signal, a signal of a person, and the end of the command end the lame duck', async () => {
  const startMs = performance.now();
  for (const end of ['SIGTERM', 'SIGINT', 'itself'] as const) {
    await using hold = await start({
      command: [process.execPath, '-e', `${serve}; process.on('SIGUSR1', () => process.exit(7))`],
      lameDuckMs: 60_000,
    });
    await hold.heard('ready');
    if (end !== 'SIGINT') {
      void hold.held.stop('SIGTERM');
      await hold.heard('leaving');
    }
    if (end === 'itself') hold.held.signal('SIGUSR1');
    else void hold.held.stop(end);
    const status = await hold.held.done;
    if (end === 'itself') assert.equal(status, 7);
  }
  assert.ok(performance.now() - startMs < 50_000);
});

test('before a generation is ready nobody is waited for, and it is said to be not ready', async () => {
  await using hold = await start({
    command: [process.execPath, '-e', 'setInterval(() => {}, 1000)'],
    lameDuckMs: 60_000,
    healthPort: 0,
  });
  assert.deepEqual(await ask(healthOf(hold), '/readyz'), {
    status: 503,
    text: 'no generation is ready\n',
    connection: 'close',
  });
  await hold.held.stop('SIGTERM');
});

test('a health port that is taken is an error with its reason, and nothing is started', async () => {
  const other = http.createServer();
  await using taken = await listen(other, { port: 0 });
  await assert.rejects(start({ command, healthPort: taken.port }), isBlockedPortError);
  await assert.rejects(start({ command, healthPort: 70_000 }), RangeError);
  for (const own of [{ healthPort: taken.port }, { metricsPort: taken.port }])
    await assert.rejects(start({ command, endpoints: () => [String(taken.port)], ...own }), /is held for the command/);
});

test('the numbers of a hold, on the port of the health', async () => {
  await using hold = await start({ command: [process.execPath, fixture('server.cjs')], metricsPort: 0 });
  await hold.heard('ready');
  assert.equal((await hold.held.restart()).outcome, 'done');
  await hold.heard('retired');
  const { status, text } = await ask(hold.held.metricsPort ?? 0, '/metrics');
  assert.equal(status, 200);
  assert.match(text, /^rebind_hold_generation 2$/m);
  assert.match(text, /^rebind_hold_crashes_total 0$/m);
  assert.match(text, new RegExp(`^rebind_hold_queued_connections\\{listen="127\\.0\\.0\\.1:${hold.port}"\\} 0$`, 'm'));
  assert.match(text, /^rebind_hold_connections_ended_total\{how="handed_off"\} 0$/m);
  assert.equal((await ask(hold.held.metricsPort ?? 0, '/readyz')).status, 404);
});

test('hold 0 chooses a port, which the command gets as PORT', async () => {
  await using held = run(['hold', '127.0.0.1:0', '--lame-duck', 'auto', '--health', '0', '--', ...command]);
  await held.printed(/is ready \(/);
  const [, port = ''] = /The command gets the port as PORT=(\d+)/.exec(held.stderr()) ?? [];
  assert.equal((await ask(Number(port), '/')).text, 'ok');
  const [, health = ''] = /\/livez and \/readyz are answered on port (\d+)/.exec(held.stderr()) ?? [];
  assert.equal((await ask(Number(health), '/readyz')).status, 200);
});

test('a port that is none is one sentence and exit 2', async () => {
  for (const words of [
    ['--health', '70000'],
    ['--metrics', 'x'],
    ['--lame-duck', 'soon'],
  ]) {
    await using held = run(['hold', '3000', ...words, '--', 'true']);
    assert.equal(await held.ended, 2);
  }
});
