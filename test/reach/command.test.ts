/**
 * What a probe does to servers, what the command refuses, and that its document is what is described. On ports of this test's own.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { reach } from '../../src/index.ts';
import { documents } from '../../tools/docs/documents.ts';
import { type Schema, violations } from '../../tools/docs/schema.ts';
import { main } from '../cli/command-line.ts';

const patienceMs = 30_000;
const folder = mkdtempSync(join(tmpdir(), 'rebind-reach-'));
after(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Not the synchronous one: servers of this process must answer meanwhile. */
async function rebind(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const { NODE_TEST_CONTEXT: _context, ...rest } = process.env;
  const child = spawn(process.execPath, [main, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...rest, ...env },
    timeout: patienceMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

interface Served extends AsyncDisposable {
  readonly port: number;
  /** What each connection sent, latin1. */
  readonly received: string[];
}

async function serving(onConnection: (socket: Socket) => void): Promise<Served> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const index = received.push('') - 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => (received[index] += chunk.toString('latin1')));
    onConnection(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    received,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port that nobody has now. */
async function nobody(): Promise<number> {
  await using served = await serving(() => {});
  return served.port;
}

describe('what is refused', () => {
  const rows: readonly (readonly [string[], RegExp])[] = [
    [['reach'], /client connects to/],
    [['reach', '0'], /65535/],
    [['reach', '65536'], /65535/],
    [['reach', '3000-'], /3000-/],
    [['reach', 'http://'], /URL|host/],
    [['reach', 'foo://x'], /foo/],
    [['reach', '3000', '3001'], /3001/],
    [['reach', '3000', '--request', '--no-connect'], /--no-connect/],
    [['reach', '3000', '--timeout', 'soon'], /--timeout/],
    [['reach', '3000', '--pid', 'x'], /--pid/],
    [['reach', '3000', '--pid', '1', '--container', 'a'], /together/],
    [['reach', '3000', '--container', '../x'], /--container/],
    [['reach', ''], /target/i],
  ];
  for (const [words, message] of rows)
    test(`${words.join(' ')}`, { timeout: patienceMs }, async () => {
      const { status, stdout, stderr } = await rebind(words);
      assert.equal(status, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    });

  test('by the library, before anything is looked at', async () => {
    await assert.rejects(reach('3000-'), RangeError);
    await assert.rejects(reach({ port: 0 }), RangeError);
    await assert.rejects(reach(3000, { requests: true } as never), TypeError);
    await assert.rejects(reach(3000, { request: true, connect: false }), RangeError);
    await assert.rejects(reach(null as never), TypeError);
    await assert.rejects(reach(3000, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });
});

describe('the document', () => {
  const schema = documents['reach'] as Schema;
  const cases: readonly (readonly [string, () => Promise<string[]>])[] = [
    ['of a port that nobody has', async () => [`127.0.0.1:${await nobody()}`]],
    ['of a name that does not exist', async () => ['no-such-name.invalid:80', '--timeout', '5s']],
    ['of a Unix socket that is not there', async () => [join(folder, 'none.sock')]],
    ['of a UDP port that nobody has', async () => [`udp/127.0.0.1:${await nobody()}`]],
    ['without a connection', async () => [`127.0.0.1:${await nobody()}`, '--no-connect']],
    ['of a link-local address without a zone', async () => ['[fe80::1]:80']],
  ];
  for (const [title, words] of cases)
    test(title, { timeout: patienceMs }, async () => {
      const { status, stdout, stderr } = await rebind(['reach', ...(await words()), '--json']);
      const document = JSON.parse(stdout);
      assert.deepEqual(violations(schema, document), [], stdout);
      assert.equal(status, document.reachable === null ? 3 : document.reachable ? 0 : 1);
      assert.equal(stderr, '');
    });
});

describe('a probe', () => {
  test('is one connection without a byte, closed at once', { timeout: patienceMs }, async () => {
    const ended: Promise<unknown>[] = [];
    await using served = await serving((socket) => ended.push(once(socket.resume(), 'close')));
    const { status, stdout } = await rebind(['reach', `127.0.0.1:${served.port}`]);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /accepts connections/);
    await Promise.all(ended);
    assert.deepEqual(served.received, ['']);
  });

  test('is none with --no-connect: a server that serves one connection lives on', { timeout: patienceMs }, async () => {
    await using served = await serving(() => {});
    const { status, stdout } = await rebind(['reach', `127.0.0.1:${served.port}`, '--no-connect']);
    assert.equal(status, 3, stdout);
    assert.deepEqual(served.received, []);
  });

  test('sends a request for a URL, and to what speaks first nothing', { timeout: patienceMs }, async () => {
    await using http = await serving((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')),
    );
    const answered = await rebind(['reach', `http://127.0.0.1:${http.port}/a?b=c`]);
    assert.equal(answered.status, 0, answered.stdout);
    assert.match(http.received[0] ?? '', /^GET \/a\?b=c HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/);
    await using greeting = await serving((socket) => socket.write('SSH-2.0-test\r\n'));
    const wrong = await rebind(['reach', `http://127.0.0.1:${greeting.port}/`, '--json']);
    assert.equal(JSON.parse(wrong.stdout).verdict?.cause, 'wrong-protocol');
    assert.deepEqual(greeting.received, ['']);
  });

  test('ends although the server sends for ever, and whatever it sends is no command to a terminal', {
    timeout: patienceMs,
  }, async () => {
    await using served = await serving((socket) => {
      const chunk = Buffer.alloc(65_536, '\u001b]0;owned\u0007\u0000');
      const more = (error?: Error | null): void => {
        if (error == null && !socket.destroyed) socket.write(chunk, more);
      };
      more();
    });
    for (const words of [
      [`127.0.0.1:${served.port}`],
      [`http://127.0.0.1:${served.port}/`],
      [`https://127.0.0.1:${served.port}/`],
    ]) {
      const { status, stdout } = await rebind(['reach', ...words]);
      assert.ok(status === 0 || status === 1, stdout);
      assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f]/);
    }
  });

  test('goes to every address of a name, in the order of clients, and says what each did', {
    timeout: patienceMs,
  }, async () => {
    await using served = await serving((socket) => socket.resume());
    const report = await reach({ port: served.port, host: 'localhost' });
    assert.equal(report.reachable, true);
    assert.ok(report.addresses.some(({ address, outcome }) => address === '127.0.0.1' && outcome === 'accepted'));
    assert.equal(served.received.length, 1);
  });

  test('of a Unix socket is one connection, too', { timeout: patienceMs }, async () => {
    const path = join(folder, 'app.sock');
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on('error', () => {}).resume();
    }).listen(path);
    await once(server, 'listening');
    const { status, stdout } = await rebind(['reach', path]);
    assert.equal(status, 0, stdout);
    server.close();
    await once(server, 'close');
    assert.equal(connections, 1);
  });
});
