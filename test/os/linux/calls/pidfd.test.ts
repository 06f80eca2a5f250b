import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, test } from 'node:test';
import { checkedByStartTime, processes } from '../../../../src/os/linux/calls/pidfd.ts';
import { sockets } from '../../../../src/os/linux/calls/socket.ts';
import type { ProcessHandle } from '../../../../src/os/processes.ts';
import { openDescriptors } from '../open-descriptors.ts';

const children: ChildProcess[] = [];

/** A process that sleeps until it is stopped. */
function sleeper(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  assert.ok(child.pid !== undefined);
  return child as ChildProcess & { pid: number };
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function opened(pid: number): ProcessHandle {
  const identity = processes.identify(pid);
  assert.ok(identity !== null);
  const handle = processes.open(identity);
  assert.ok(handle !== null);
  return handle;
}

describe('a process is an identity', () => {
  for (const [how, open] of [
    ['held by a pidfd', opened],
    ['checked by its start time', (pid: number) => checkedByStartTime(opened(pid).identity)],
  ] as const) {
    test(`a process ${how} is signalled, and is gone afterwards`, async () => {
      const child = sleeper();
      const handle = open(child.pid);
      try {
        assert.equal(handle.isAlive(), true);
        assert.equal(handle.signal('SIGTERM'), 'sent');
        assert.deepEqual(await once(child, 'exit'), [null, 'SIGTERM']);
        assert.equal(handle.isAlive(), false);
        assert.equal(handle.signal('SIGTERM'), 'gone');
      } finally {
        handle.close();
      }
    });

    test(`a zombie ${how} is not alive`, async () => {
      // The shell never waits for its child, so the child stays a zombie.
      const parent = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 60'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      children.push(parent);
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const handle = open(Number(line.toString()));
      try {
        for (let tries = 0; handle.isAlive() && tries < 500; tries++) await new Promise((r) => setTimeout(r, 5));
        assert.equal(handle.isAlive(), false);
      } finally {
        handle.close();
      }
    });
  }

  test('a number that belongs to another process now is nobody', () => {
    const child = sleeper();
    assert.equal(processes.open({ pid: child.pid, started: '1' }), null);
    const stranger = checkedByStartTime({ pid: child.pid, started: '1' });
    assert.equal(stranger.isAlive(), false);
    assert.equal(stranger.signal('SIGKILL'), 'gone');
    assert.equal(child.exitCode ?? child.signalCode, null);
  });

  for (const pid of [0, -1, 2 ** 31, 4_194_305, Number.NaN]) {
    test(`${pid} is no process`, () => {
      assert.equal(processes.identify(pid), null);
      assert.equal(processes.open({ pid, started: '1' }), null);
    });
  }

  test('a descriptor of another process is copied, and the copy is that socket', async () => {
    const child = spawn(
      process.execPath,
      ['-e', "const s = require('net').createServer().listen(0, '127.0.0.1', () => console.log(s._handle.fd))"],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    children.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const before = openDescriptors();
    const handle = opened(child.pid as number);
    const taken = handle.takeDescriptor(Number(line.toString()));
    assert.ok(taken.fd !== null);
    assert.equal(sockets.isListening(taken.fd), true);
    sockets.close(taken.fd);
    assert.deepEqual(handle.takeDescriptor(999), { fd: null, why: 'EBADF' });
    handle.close();
    handle.close();
    assert.deepEqual(openDescriptors(), before);
  });

  test('a process of another user is denied, not gone', (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root to have a process of another user');
    const child = spawn('sleep', ['60'], { stdio: 'ignore', uid: 1, gid: 1 });
    children.push(child);
    const handle = opened(child.pid as number);
    // Neither root nor the owner: the kernel compares both our real and our effective user (kill(2)).
    process.seteuid?.(65_534);
    try {
      assert.equal(handle.isAlive(), true);
      assert.deepEqual(handle.takeDescriptor(0), { fd: null, why: 'EPERM' });
      assert.equal(handle.signal('SIGTERM'), 'denied');
    } finally {
      process.seteuid?.(0);
      handle.close();
    }
    assert.equal(child.exitCode ?? child.signalCode, null);
    return undefined;
  });
});
