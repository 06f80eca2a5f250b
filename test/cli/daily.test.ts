/**
 * The command in daily use: several endpoints, filters, the live list, choosing, hints.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { documents } from '../../tools/docs/documents.ts';
import { type Schema, violations } from '../../tools/docs/schema.ts';
import { run } from '../hold/command.ts';
import { freePort } from '../hold/harness.ts';
import { isInstalled, main, rebind } from './command-line.ts';

const linux = process.platform === 'linux' ? false : 'reading this system is only implemented on Linux';

async function listening(...place: [number, string] | [string]): Promise<Server & AsyncDisposable> {
  const server = createServer();
  server.listen(...(place as [number, string]));
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  const at = server.address();
  assert(at !== null && typeof at === 'object');
  return at.port;
}

describe('several endpoints', { skip: linux }, () => {
  test('why answers about each, the exit status is the worst, and JSON is one list', async () => {
    await using server = await listening(0, '127.0.0.1');
    const [taken, free] = [`127.0.0.1:${portOf(server)}`, `127.0.0.2:${portOf(server)}`];
    const text = rebind([free, taken]);
    assert.equal(text.code, 1);
    assert.match(text.stdout, new RegExp(`^${taken} is in use by `));
    assert.match(text.stdout, new RegExp(`\\nAvailable: ${free}\\n$`));
    const { stdout, code } = rebind(['why', free, taken, '--json']);
    const document = JSON.parse(stdout);
    assert.deepEqual(violations(documents['why'] as Schema, document), []);
    assert.deepEqual(
      document.results.map(({ bindable }: { bindable: boolean }) => bindable),
      [true, false],
    );
    assert.equal(code, 1);
  });

  test('wait waits for all of them, and with --any for the first', async () => {
    await using server = await listening(0, '127.0.0.1');
    const [taken, free] = [`127.0.0.1:${portOf(server)}`, `127.0.0.2:${portOf(server)}`];
    const all = rebind(['wait', free, taken, '--timeout', '100ms', '--json']);
    assert.equal(all.code, 1);
    assert.deepEqual(violations(documents['wait'] as Schema, JSON.parse(all.stdout)), []);
    assert.deepEqual(
      JSON.parse(all.stdout).results.map(({ done }: { done: boolean }) => done),
      [true, false],
    );
    const any = rebind(['wait', free, taken, '--any']);
    assert.deepEqual([any.code, any.stdout.replace(/\(.*/s, '')], [0, `${free} is available `]);
  });
});

describe('hints', { skip: linux }, () => {
  test('a port that is in use for UDP only', async () => {
    const socket = createSocket('udp4');
    socket.bind(0);
    await once(socket, 'listening');
    try {
      const { port } = socket.address();
      const { stdout, code } = rebind([String(port)]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Port ${port} is available\\n\\nUDP port ${port} is in use`));
      assert.match(stdout.replace(/\s+/g, ' '), new RegExp(`See: (npx )?rebind udp/${port}`));
    } finally {
      socket.close();
    }
  });

  test('a number that is the pid of a process that listens', async () => {
    await using server = await listening(0, '127.0.0.1');
    const { stdout, stderr } = rebind([String(process.pid)]);
    const text = (stdout + stderr).replace(/\s+/g, ' ');
    assert.match(
      text,
      new RegExp(`${process.pid} is also a process: .*\\(pid ${process.pid}\\) uses .*${portOf(server)}`),
    );
  });
});

describe('rebind ls with filters', { skip: linux }, () => {
  test('by port, by range, by pid, by name, by protocol, and whose they are', async () => {
    await using server = await listening(0, '127.0.0.1');
    const port = portOf(server);
    const ports = (...words: string[]): number[] =>
      JSON.parse(rebind(['ls', '--json', ...words]).stdout).sockets.map(
        ({ local }: { local: { port: number } }) => local.port,
      );
    assert.deepEqual(new Set(ports(String(port))), new Set([port]));
    assert(ports(`${Math.max(1, port - 5)}-${Math.min(65_535, port + 5)}`).includes(port));
    assert(ports(String(process.pid)).includes(port));
    assert(ports('daily.test').includes(port));
    assert(ports('--mine').includes(port));
    assert(!ports('--udp').includes(port));
    assert(!ports('no-such-program-anywhere').includes(port));
  });

  test('Unix sockets are listed when they are asked for, with their process', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rebind-ls-'));
    const path = join(folder, 'app.sock');
    try {
      await using server = await listening(path);
      assert(server.listening);
      const document = JSON.parse(rebind(['ls', '--unix', '--json', folder]).stdout);
      assert.deepEqual(violations(documents['ls'] as Schema, document), []);
      assert.deepEqual(
        document.unixSockets.map((one: { path: string; holders: { pid: number }[] }) => [
          one.path,
          one.holders[0]?.pid,
        ]),
        [[path, process.pid]],
      );
      assert.match(rebind(['ls', folder]).stdout, /unix .*app\.sock/);
      assert.deepEqual(JSON.parse(rebind(['ls', '--json']).stdout).unixSockets, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('--watch --json prints a line for a socket that appears and one when it goes away', async () => {
    const port = await freePort();
    await using watching = run(['ls', '--watch', '--json', String(port)]);
    const server = await listening(port, '127.0.0.1');
    await watching.printed(/"event":"added"/);
    server.close();
    await watching.printed(/"event":"removed"/);
    for (const line of watching.stdout().trim().split('\n')) {
      const document = JSON.parse(line);
      assert.deepEqual(violations(documents['ls-watch'] as Schema, document), []);
      assert.equal(document.socket.local.port, port);
    }
    watching.child.kill('SIGINT');
    assert.equal(await watching.ended, 'SIGINT');
  });

  test('--watch without a terminal is a wrong command line', () => {
    const { code, stderr } = rebind(['ls', '--watch']);
    assert.equal(code, 2);
    assert.match(stderr, /--watch needs a terminal; for a program add --json/);
  });
});

/** The command on a terminal of script(1). Each step waits for a text on the screen and types keys. */
async function onTerminal(
  words: readonly string[],
  steps: readonly (readonly [RegExp, string])[],
): Promise<{ readonly status: number | null; readonly text: string }> {
  const line = ['exec', process.execPath, main, ...words]
    .map((word) => `'${word}'`)
    .join(' ')
    .replace("'exec'", 'exec');
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1' },
  });
  let text = '';
  let from = 0;
  const left = [...steps];
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const [step] = left;
    if (step === undefined || !step[0].test(text.slice(from))) return;
    from = text.length;
    left.shift();
    child.stdin.write(step[1]);
  });
  const [status] = (await once(child, 'close')) as [number | null];
  assert.deepEqual(left, [], text);
  return { status, text };
}

describe('on a terminal', { skip: isInstalled('script') ? false : 'script (of util-linux) is not installed' }, () => {
  test('ls --watch filters, explains the selected row, and gives the screen back', async () => {
    await using server = await listening(0, '127.0.0.1');
    const place = new RegExp(`127\\.0\\.0\\.1:${portOf(server)}`);
    const { status, text } = await onTerminal(
      ['ls', '--watch'],
      [
        [/quit/, `/${portOf(server)}\r`],
        [/1 row, filter/, 'w'],
        // The key that goes on is no command.
        [/Press a key/, 'q'],
        [/1 row, filter/, 'q'],
      ],
    );
    assert.equal(status, 0);
    assert.match(text, place);
    assert.match(text, /is in use by/);
    assert(text.includes('\x1b[?1049h') && text.trimEnd().endsWith('\x1b[?1049l'), 'the screen is not given back');
  });

  test('free without an endpoint lists ports and frees what is chosen; nothing is nothing', async () => {
    await using server = await listening(0, '127.0.0.1');
    const { status, text } = await onTerminal(['free'], [[/Which one to free\?/, '\n']]);
    assert.match(text, new RegExp(`\\d+ {2}tcp +127\\.0\\.0\\.1:${portOf(server)}`));
    assert.equal(status, 0);
    assert(server.listening);
    const wrong = await onTerminal(['free'], [[/Which one to free\?/, '0\n']]);
    assert.equal(wrong.status, 2);
  });
});

test('free without an endpoint and without a terminal is a wrong command line', () => {
  const { code, stderr } = rebind(['free']);
  assert.equal(code, 2);
  assert.match(stderr, /^rebind: "rebind free" needs endpoints, such as 3000\./);
});
