/**
 * What is seen of a Unix path, against real sockets and files.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { sockets } from '../../../../src/os/linux/calls/socket.ts';
import { openReaching } from '../../../../src/os/linux/reaching.ts';

const asked = { connect: true, request: null, timeoutMs: 1_000 };

describe('a Unix path', () => {
  let folder: string;
  let path: string;
  const servers: Server[] = [];
  const see = (at = path): ReturnType<ReturnType<typeof openReaching>['unix']> => openReaching().unix(at, asked, []);
  const serve = async (at: string, answer = (server: Server): unknown => server): Promise<void> => {
    const server = createServer((socket) => socket.on('error', () => {}).end('hello'));
    answer(server);
    servers.push(server);
    server.listen(at);
    await once(server, 'listening');
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rebind-reach-'));
    path = join(folder, 'app.sock');
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a server is connected to: who it is, and what it says first', async () => {
    await serve(path);
    const { stat, sockets: all, attempt, first } = await see();
    assert.equal(stat.errno, null);
    assert.equal(attempt?.errno, null);
    assert.equal(attempt.peer?.pid, process.pid);
    const [listener] = (all ?? []).filter(({ state }) => state === 'LISTEN');
    assert.equal(listener?.file?.inode, stat.inode);
    assert.equal(first?.kind, 'bytes');
    assert.equal(Buffer.from(first.bytes, 'base64').toString(), 'hello');
  });

  test('nothing there, a dangling link, a file in the way', async () => {
    assert.equal((await see()).attempt?.errno, 'ENOENT');
    symlinkSync(join(folder, 'gone'), path);
    const { stat } = await see();
    assert.deepEqual([stat.errno, stat.danglingLink, stat.stuckAt], ['ENOENT', true, null]);
    writeFileSync(join(folder, 'file'), '');
    const behind = await see(join(folder, 'file', 'app.sock'));
    assert.deepEqual([behind.stat.errno, behind.stat.stuckAt], ['ENOTDIR', join(folder, 'file')]);
    const deep = await see(join(folder, 'no', 'such', 'app.sock'));
    assert.equal(deep.stat.stuckAt, join(folder, 'no'));
  });

  test('a regular file and a directory refuse as a dead socket does', async () => {
    writeFileSync(path, '');
    const { attempt, file } = await see();
    assert.deepEqual([attempt?.errno, file?.kind], ['ECONNREFUSED', 'other']);
    unlinkSync(path);
    mkdirSync(path);
    assert.equal((await see()).attempt?.errno, 'ECONNREFUSED');
  });

  test('a socket whose file was replaced lives on under its name, with another file', async () => {
    await serve(path);
    renameSync(path, `${path}.old`);
    const stale = sockets.open('unix', 4);
    try {
      sockets.bind(stale, { protocol: 'unix', path });
      const { stat, sockets: all, attempt } = await see();
      assert.equal(attempt?.errno, 'ECONNREFUSED');
      const listener = (all ?? []).find(({ state }) => state === 'LISTEN');
      assert.ok(listener?.file);
      assert.notEqual(listener.file.inode, stat.inode);
    } finally {
      sockets.close(stale);
    }
  });

  test('a full queue refuses at once, and shows how full it is', async () => {
    const listener = sockets.open('unix', 4);
    const clients: number[] = [];
    try {
      sockets.bind(listener, { protocol: 'unix', path });
      sockets.listen(listener, 1);
      for (let count = 0; count < 2; count++) {
        clients.push(sockets.open('unix', 4));
        sockets.connect(clients[count] ?? -1, { protocol: 'unix', path });
      }
      const { attempt, sockets: all } = await see();
      assert.equal(attempt?.errno, 'EAGAIN');
      const found = (all ?? []).find(({ state }) => state === 'LISTEN');
      assert.deepEqual(found?.queue, { waiting: 2, limit: 1 });
    } finally {
      for (const fd of [listener, ...clients]) sockets.close(fd);
    }
  });

  test('without leave to connect nothing is tried', async () => {
    await serve(path, (server) => server.once('connection', () => assert.fail('it was connected to')));
    const seen = await openReaching().unix(path, { ...asked, connect: false }, []);
    assert.deepEqual([seen.attempt, seen.first, seen.request], [null, null, null]);
    assert.equal(seen.sockets?.[0]?.state, 'LISTEN');
  });
});
