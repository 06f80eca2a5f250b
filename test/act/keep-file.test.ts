/** The second name of a Unix socket's file. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepFile, secondName } from '../../src/act/keep-file.ts';
import { os } from '../../src/os/index.ts';

test('a file that somebody else gave the second name to is left, and the socket is kept by another', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-keep-'));
  const path = join(folder, 'app.sock');
  const server = createServer().listen(path);
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  await once(server, 'listening');
  writeFileSync(secondName(path), 'of somebody else');
  const kept = keepFile(os(), path, 'long');
  assert.ok(typeof kept !== 'string', String(kept));
  unlinkSync(path);
  assert.ok(kept.restore());
  assert.ok(existsSync(path));
  assert.ok(kept.end());
  assert.deepEqual(readdirSync(folder).sort(), ['.app.sock.rebind', 'app.sock']);
});
