import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mark } from '../../src/act/mark.ts';
import { os as thisOs } from '../../src/os/index.ts';
import type { Os } from '../../src/os/os.ts';
import type { ProcessHandle } from '../../src/os/processes.ts';
import { facts, holder, request } from '../model/facts.ts';

/** This machine, but the process gives nothing but this. */
function osWith(takeDescriptor: ProcessHandle['takeDescriptor']): Os {
  const handle = {
    identity: { pid: 41, started: '1' },
    takeDescriptor,
    close: () => {},
  } as unknown as ProcessHandle;
  const real = thisOs();
  return { ...real, processes: { ...real.processes, open: () => handle }, readFacts: () => facts() };
}

const { sockets } = thisOs();

test('a socket is marked through a copy, which is closed again', () => {
  const fd = sockets.open('tcp', 4);
  const inode = sockets.identity(fd)?.inode ?? 0;
  const copies: number[] = [];
  const os = osWith(() => {
    const copy = sockets.duplicate(fd);
    copies.push(copy);
    return { fd: copy };
  });
  assert.equal(sockets.getReuseAddress(fd), false);
  assert.deepEqual(mark(os, request(), [{ inode, holders: [holder()] }]), { outcome: 'done', why: null });
  assert.equal(sockets.getReuseAddress(fd), true);
  assert.equal(sockets.identity(copies[0] ?? -1), null);
  assert.equal(mark(os, request(), [{ inode, holders: [holder()] }]).outcome, 'skipped');
  sockets.close(fd);
});

test('a descriptor that is another socket by now is left alone', () => {
  const fd = sockets.open('tcp', 4);
  const os = osWith(() => ({ fd: sockets.duplicate(fd) }));
  const { outcome, why } = mark(os, request(), [{ inode: 1, holders: [holder()] }]);
  assert.deepEqual([outcome, why], ['failed', 'no process has it open now']);
  assert.equal(sockets.getReuseAddress(fd), false);
  sockets.close(fd);
});

test('not being allowed to is said, with whose sockets they are', () => {
  const os = osWith(() => ({ fd: null, why: 'EPERM' }));
  const { outcome, why } = mark(os, request(), [{ inode: 1, holders: [holder()] }]);
  assert.equal(outcome, 'failed');
  assert.match(why ?? '', /EPERM: this user may not touch the sockets of process 41/);
});
