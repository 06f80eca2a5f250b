import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Holder } from '../../../../src/model/facts.ts';
import { linux } from '../../../../src/os/linux/index.ts';
import { findHolders } from '../../../../src/os/linux/proc/holders.ts';
import { openProc } from '../../../../src/os/linux/proc/proc.ts';
import { relativesOf } from '../../../../src/os/linux/proc/relatives.ts';
import { findProgram } from '../../../../src/stage/needs.ts';
import { type RecordedFile, unpack } from '../recording.ts';

const options = { reuseAddress: true, reusePort: false, v6Only: false, device: null };

async function listening(): Promise<{ server: Server; port: number; fd: number } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = server.address();
  assert.ok(at !== null && typeof at === 'object');
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return {
    server,
    port: at.port,
    fd,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

function holdersOf(port: number, holders: 'likely' | 'all' = 'likely'): readonly Holder[] {
  const facts = linux.readFacts({ endpoint: { protocol: 'tcp', address: '127.0.0.1', port }, options }, { holders });
  const listener = facts.sockets.find(({ state }) => state === 'LISTEN');
  return facts.holders.get(listener?.inode ?? 0) ?? [];
}

async function ended(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
}

/** A made-up process: its parent, group and session, and what its descriptors lead to. */
function processFiles(
  pid: number,
  parent: number,
  group: number,
  links: readonly string[],
): Record<string, RecordedFile> {
  const files: Record<string, RecordedFile> = {
    [`${pid}/stat`]: `${pid} (p${pid}) S ${parent} ${group} ${group} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 ${pid} 0`,
    [`${pid}/status`]: 'Uid:\t5\t5\t5\t5\n',
  };
  for (const [fd, link] of links.entries()) files[`${pid}/fd/${fd}`] = { link };
  return files;
}

test('two thousand holders of one socket are all found', () => {
  const tree: Record<string, RecordedFile> = {};
  for (let pid = 2; pid < 2_002; pid++) tree[`${pid}/fd/0`] = { link: 'socket:[7]' };
  using root = unpack(tree);
  const wanted = [{ inode: 7, uid: 5, cgroupId: null, needed: true }];
  const { found, unseen } = findHolders(openProc(root.root), wanted, 'all');
  assert.equal(found.get(7)?.size, 2_000);
  assert.deepEqual(found.get(7)?.get(2), [0]);
  assert.equal(unseen, null);
});

test('a likely search that stops early finds the children that inherited', () => {
  const other = Array.from({ length: 60 }, (_, index) => `socket:[${1_000 + index}]`);
  const tree: Record<string, RecordedFile> = {};
  // The holder and its grandchild, which has it under another number; then a crowd that has nothing to do with them.
  Object.assign(tree, processFiles(2, 1, 2, ['/dev/null', 'socket:[7]']));
  Object.assign(tree, processFiles(3, 2, 3, ['/dev/null']));
  Object.assign(tree, processFiles(900, 3, 900, [...other, 'socket:[7]']));
  for (let pid = 10; pid < 40; pid++) Object.assign(tree, processFiles(pid, 1, pid, other));
  using root = unpack(tree);
  const wanted = [{ inode: 7, uid: 5, cgroupId: null, needed: true }];
  const likely = findHolders(openProc(root.root), wanted, 'likely');
  assert.deepEqual(
    [...(likely.found.get(7) ?? [])],
    [
      [2, [1]],
      [900, [60]],
    ],
  );
  const all = findHolders(openProc(root.root), wanted, 'all');
  assert.deepEqual([...(all.found.get(7)?.keys() ?? [])].sort(), [2, 900]);
});

test('a socket that nobody has is looked for everywhere', () => {
  const tree: Record<string, RecordedFile> = {};
  for (let pid = 2; pid < 40; pid++) Object.assign(tree, processFiles(pid, 1, 1, ['socket:[8]']));
  using root = unpack(tree);
  const wanted = [{ inode: 7, uid: 5, cgroupId: null, needed: true }];
  const { found, unseen } = findHolders(openProc(root.root), wanted, 'likely');
  assert.equal(found.get(7)?.size, 0);
  assert.equal(unseen, null);
});

test('relatives: ancestors and descendants are near; the same job, parent and session are far', () => {
  const tree: Record<string, RecordedFile> = {};
  const add = (pid: number, parent: number, group: number): void => {
    Object.assign(tree, processFiles(pid, parent, group, []));
  };
  add(1, 0, 1);
  add(2, 1, 2);
  add(3, 2, 3); // the holder
  add(4, 3, 4);
  add(5, 4, 5);
  add(6, 2, 6); // a sibling
  add(7, 1, 3); // the same job, its parent gone
  add(8, 1, 8);
  using root = unpack(tree);
  const proc = openProc(root.root);
  const { near, far } = relativesOf(proc, proc.pids(), new Set([3]));
  assert.deepEqual([...near].sort(), [2, 3, 4, 5]);
  assert.deepEqual(far, [7, 6]);
});

test('two hundred real processes that inherited a socket are told apart from those that did not', async () => {
  await using here = await listening();
  const heirs = Array.from({ length: 200 }, (_, index) =>
    spawn('sleep', ['100'], { stdio: ['ignore', 'ignore', 'ignore', index % 2 === 0 ? here.fd : 'ignore'] }),
  );
  try {
    await Promise.all(heirs.map((child) => child.pid ?? once(child, 'spawn')));
    const expected = heirs.filter((_, index) => index % 2 === 0).map(({ pid }) => pid);
    assert.deepEqual(
      holdersOf(here.port, 'all').map(({ pid }) => pid),
      [process.pid, ...expected].sort((a, b) => Number(a) - Number(b)),
    );
  } finally {
    await ended(heirs);
  }
});

test('an argv of almost two megabytes is cut', async () => {
  await using here = await listening();
  const long = Array.from({ length: 14 }, () => 'x'.repeat(130_000));
  const stays = spawn('sh', ['-c', 'echo ready; read line', 'sh', ...long], {
    stdio: ['pipe', 'pipe', 'ignore', here.fd],
  });
  try {
    assert.ok(stays.stdout !== null);
    await once(stays.stdout, 'data');
    const holder = holdersOf(here.port, 'all').find(({ pid }) => pid === stays.pid);
    assert.deepEqual(holder?.argv.slice(0, 4), ['sh', '-c', 'echo ready; read line', 'sh']);
    const bytes = holder?.argv.reduce((sum, arg) => sum + arg.length + 1, 0) ?? 0;
    assert.ok(bytes > 60_000 && bytes <= 65_537, `${bytes} bytes`);
  } finally {
    await ended([stays]);
  }
});

test('names with escape sequences and line breaks arrive as they are', async () => {
  await using here = await listening();
  const folder = mkdtempSync(join(tmpdir(), 'rebind-names-'));
  const name = '\u001b[31m) R\n(x';
  symlinkSync(findProgram('sleep') ?? '/bin/sleep', join(folder, name));
  const child = spawn(join(folder, name), ['100'], {
    argv0: '\u001b[2J\nnode',
    cwd: folder,
    stdio: ['ignore', 'ignore', 'ignore', here.fd],
  });
  try {
    await once(child, 'spawn');
    const holder = holdersOf(here.port, 'all').find(({ pid }) => pid === child.pid);
    assert.equal(holder?.command, name);
    assert.deepEqual(holder?.argv, ['\u001b[2J\nnode', '100']);
    assert.equal(holder?.processState, 'S');
    assert.equal(holder?.parents[0]?.pid, process.pid);
  } finally {
    await ended([child]);
    rmSync(folder, { recursive: true });
  }
});

test('processes that come and go while they are read disturb nothing', async () => {
  await using here = await listening();
  const children: ChildProcess[] = [];
  try {
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 4; i++) children.push(spawn('true', [], { stdio: ['ignore', 'ignore', 'ignore', here.fd] }));
      for (const holder of holdersOf(here.port, 'all')) {
        assert.ok(holder.pid > 0);
        assert.notEqual(holder.descriptors.length, 0);
      }
      assert.ok(holdersOf(here.port).some(({ pid }) => pid === process.pid));
    }
  } finally {
    await ended(children);
  }
});
