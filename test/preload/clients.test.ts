/**
 * `--require rebind/explain` for clients: the error of a connection that failed gets the reason, and stays the error that it was.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const door = fileURLToPath(new URL('../../../dist/preload/explain.js', import.meta.url));
const linux = process.platform === 'linux' ? false : 'the reason is told on Linux alone';

/** A port that was free a moment ago. */
const closed = `const net = require('node:net');
const server = net.createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => run(port)); });`;

function program(source: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--require', door, '-e', `${closed}\n${source}`], {
    encoding: 'utf8',
    timeout: 30_000,
    env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '' },
  });
}

test('a refused connection says that no program listens, once in a while', { skip: linux }, () => {
  const { stdout, stderr, status } = program(`function run(port) {
    const once = (done) => net.connect(port, '127.0.0.1').on('error', (error) => { console.log(JSON.stringify({ code: error.code, syscall: error.syscall, port: error.port === port, lines: error.message.split('\\n').length, first: error.message.split('\\n')[1] ?? null })); done?.(); });
    once(() => once());
  }`);
  assert.equal(status, 0, stderr);
  const [first, second] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    { code: first.code, syscall: first.syscall, port: first.port },
    { code: 'ECONNREFUSED', syscall: 'connect', port: true },
  );
  assert.match(first.first, /^ {2}No program listens on 127\.0\.0\.1:\d+$/);
  // A loop that polls a port does not pay for a look each time.
  assert.equal(second.lines, 1);
  assert.equal(stderr, '');
});

test('fetch failed, and an error that nobody handles, carry it', { skip: linux }, () => {
  const fetched = program(`function run(port) {
    fetch('http://127.0.0.1:' + port).catch(({ message, cause }) => console.log(message + '|' + cause.message));
  }`);
  assert.match(fetched.stdout, /^fetch failed\|connect ECONNREFUSED[^\n]*\n {2}No program listens on /);
  const unhandled = program(`function run(port) { net.connect(port, '127.0.0.1'); }`);
  assert.equal(unhandled.status, 1);
  assert.match(unhandled.stderr, /Error: connect ECONNREFUSED [^\n]*\n {2}No program listens on /);
});

test('a connection that stood, and fails later, is left alone', { skip: linux }, () => {
  const { stdout } = program(`function run() {
    const other = net.createServer((socket) => setTimeout(() => socket.resetAndDestroy(), 20)).listen(0, '127.0.0.1', () => {
      net.connect(other.address().port, '127.0.0.1').on('error', (error) => { console.log(error.message); other.close(); });
    });
  }`);
  assert.equal(stdout, 'read ECONNRESET\n');
});
