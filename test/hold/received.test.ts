/**
 * Sockets of a service manager (sd_listen_fds(3)): what the variables name need not be a socket that can be held.
 */
import assert from 'node:assert/strict';
import { type StdioOptions, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { os } from '../../src/os/index.ts';
import { freePort, rebind } from './harness.ts';

const skip = process.platform !== 'linux' && 'sockets are passed on Linux';

/** `hold` with this as its descriptor 3, started as a service manager starts it: with its own process id in LISTEN_PID. */
function received(third: number | 'closed', count = '1'): { status: number | null; stderr: string } {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...(third === 'closed' ? [] : [third])];
  const script = `LISTEN_PID=$$ exec "$0" "$1" hold -- "$0" -e 0`;
  const { status, stderr } = spawnSync('/bin/sh', ['-c', script, process.execPath, rebind], {
    env: { ...process.env, LISTEN_FDS: count, NODE_OPTIONS: '', NO_COLOR: '1' },
    stdio,
    encoding: 'utf8',
  });
  return { status, stderr };
}

function refused(third: number | 'closed', why: string): void {
  assert.deepEqual(received(third), { status: 2, stderr: `rebind: Descriptor 3 cannot be held: ${why}\n` });
}

test('a descriptor that is closed, or no socket, is refused with a sentence', { skip }, () => {
  refused('closed', 'it is not a socket');
  for (const path of ['/', '/dev/null', '/proc/self/status']) {
    const fd = openSync(path, 'r');
    refused(fd, 'it is not a socket');
    closeSync(fd);
  }
});

test('a socket that does not listen is refused with a sentence', { skip }, async () => {
  const { sockets } = os();
  const port = await freePort();
  const [unbound, bound, datagram, udp] = [
    sockets.open('tcp', 4),
    sockets.open('tcp', 4),
    sockets.open('unix-datagram', 4),
    sockets.open('udp', 4),
  ];
  try {
    sockets.bind(bound, { protocol: 'tcp', address: '127.0.0.1', port });
    for (const fd of [unbound, bound]) refused(fd, 'it is a socket that does not listen');
    refused(datagram, 'it is a socket of another kind than TCP, UDP or Unix stream');
    refused(udp, 'it is a UDP socket that is not bound to a port');
  } finally {
    for (const fd of [unbound, bound, datagram, udp]) sockets.close(fd);
  }
});

test('sockets of kinds that carry no server are refused with a sentence', {
  skip:
    skip ||
    (process.getuid?.() !== 0 && 'raw sockets need root') ||
    (spawnSync('python3', ['--version']).status !== 0 && 'python3 is not installed'),
}, () => {
  for (const kind of [
    'AF_INET, socket.SOCK_RAW, 1',
    'AF_NETLINK, socket.SOCK_RAW, 0',
    'AF_PACKET, socket.SOCK_RAW, 0',
  ]) {
    const script = [
      'import os, socket, sys',
      `foreign = socket.socket(socket.${kind})`,
      'os.dup2(foreign.fileno(), 3)',
      'os.set_inheritable(3, True)',
      "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), NODE_OPTIONS='', NO_COLOR='1')",
      'os.execv(sys.argv[1], sys.argv[1:])',
    ].join('\n');
    const words = ['-c', script, process.execPath, rebind, 'hold', '--', process.execPath, '-e', '0'];
    const { status, stderr } = spawnSync('python3', words, { encoding: 'utf8' });
    assert.equal(
      stderr,
      'rebind: Descriptor 3 cannot be held: it is a socket of another kind than TCP, UDP or Unix stream\n',
    );
    assert.equal(status, 2);
  }
});

test('a number of descriptors that is none is refused with a sentence, and variables of another process are not ours', {
  skip,
}, () => {
  for (const count of ['abc', '-1', '1.5', '', '1025'])
    assert.deepEqual(received('closed', count), {
      status: 2,
      stderr: `rebind: LISTEN_FDS is "${count}": expected a number of descriptors from 0 to 1024\n`,
    });
  assert.doesNotMatch(received('closed', '0').stderr, /LISTEN_FDS/);
});
