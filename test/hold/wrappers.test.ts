import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fixture, freePort, get, losesNothing, nodes, start, tool } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-wrappers-'));
after(() => rmSync(directory, { recursive: true }));
writeFileSync(
  join(directory, 'package.json'),
  JSON.stringify({ name: 'wrapped', private: true, scripts: { start: `node ${fixture('server.cjs')}` } }),
);

const wrappers: Readonly<Record<string, readonly string[]>> = {
  'npm start': ['npm', '--silent', '--prefix', directory, 'start'],
  npx: ['npx', '--silent', '-c', `node ${fixture('server.cjs')}`],
  tsx: [tool('tsx'), fixture('server.cjs')],
  nodemon: [tool('nodemon'), '--quiet', fixture('server.cjs')],
  'sh -c': ['sh', '-c', `node ${fixture('server.cjs')}; exit`],
  // These lose the descriptors on the way: hold sends the socket to the process that asks for it.
  'node --watch': ['node', '--watch', fixture('server.cjs')],
  'a wrapper that closes every descriptor': [
    'python3',
    '-c',
    `import subprocess, sys; sys.exit(subprocess.call(['node', ${JSON.stringify(fixture('server.cjs'))}], close_fds=True))`,
  ],
};

for (const [name, command] of Object.entries(wrappers)) {
  test(`below ${name}, an unmodified server loses nothing over restarts`, async () => {
    await using hold = await start({ command, lingerMs: 500 });
    await losesNothing(hold);
  });
}

for (const [what, chosen] of [
  ['a port', freePort],
  ['port 0', async () => 0],
] as const) {
  test(`${what} that hold learned goes to the next process that a watcher starts`, async () => {
    const command = ['node', fixture('again.cjs'), String(await chosen())];
    await using hold = await start({ endpoints: () => [], command });
    const { endpoint } = await hold.heard('learned');
    assert(endpoint.protocol === 'tcp');
    const { port } = endpoint;
    for (let round = 0; round < 3; round++) {
      const pid = await get(port, '/exit');
      // Nobody accepts it before the next process listens.
      const next = await get(port);
      assert.match(next, /^\d+$/);
      assert.notEqual(next, pid);
    }
    // And it takes part in a restart.
    assert.equal((await hold.held.restart()).outcome, 'done');
    assert.equal((await hold.heard('retired')).counts?.killed, 0);
  });
}

const frameworks: Readonly<Record<string, string>> = {
  express: `import express from 'express'; express().get('/', (q, r) => r.send(process.env.REBIND_GENERATION + ' ok')).listen(process.env.PORT, '127.0.0.1');`,
  fastify: `import fastify from 'fastify'; const app = fastify(); app.get('/', async () => process.env.REBIND_GENERATION + ' ok'); await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });`,
  'fastify on localhost': `import fastify from 'fastify'; const app = fastify(); app.get('/', async () => process.env.REBIND_GENERATION + ' ok'); await app.listen({ port: Number(process.env.PORT) });`,
  koa: `import Koa from 'koa'; new Koa().use((c) => { c.body = process.env.REBIND_GENERATION + ' ok'; }).listen(process.env.PORT, '127.0.0.1');`,
  hono: `import { serve } from '@hono/node-server'; import { Hono } from 'hono'; const app = new Hono(); app.get('/', (c) => c.text(process.env.REBIND_GENERATION + ' ok')); serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: '127.0.0.1' });`,
  "vite's dev server": `import { createServer } from 'vite'; const vite = await createServer({ configFile: false, root: process.env.ROOT, logLevel: 'error', server: { port: Number(process.env.PORT), host: '127.0.0.1', strictPort: true, hmr: false, ws: false }, optimizeDeps: { noDiscovery: true }, plugins: [{ name: 'answer', configureServer: (s) => void s.middlewares.use((q, r) => r.end(process.env.REBIND_GENERATION + ' ok')) }] }); await vite.listen();`,
};

for (const [name, source] of Object.entries(frameworks)) {
  test(`${name} loses nothing over restarts`, async () => {
    await using hold = await start({
      command: [process.execPath, '--input-type=module', '--eval', source],
      cwd: fixture('../../..'),
      env: { ROOT: directory },
      lingerMs: 500,
    });
    await losesNothing(hold);
  });
}

const next = fixture('../../next/node_modules/.bin/next');

describe('Next.js', { skip: !existsSync(next) && 'not installed: npm ci --prefix test/next' }, () => {
  const cwd = fixture('../../next');
  const env = { NEXT_TELEMETRY_DISABLED: '1' };

  test('a built app loses nothing over restarts', async () => {
    const built = spawnSync(next, ['build'], { cwd, env: { ...process.env, ...env }, encoding: 'utf8' });
    assert.equal(built.status, 0, built.stdout + built.stderr);
    await using hold = await start({ command: [next, 'start', '--hostname', '127.0.0.1'], cwd, env, lingerMs: 500 });
    await losesNothing(hold);
  });

  test('its dev server, which must not run twice, keeps them waiting and loses nothing', async () => {
    const command = [next, 'dev', '--hostname', '127.0.0.1'];
    await using hold = await start({ command, cwd, env, lingerMs: 500, overlap: false });
    // It compiles a page at the first request for it.
    await losesNothing(hold, { timeoutMs: 30_000 });
  });
});

for (const { name, path } of nodes()) {
  test(`${name}: a WebSocket is told to come back, and is not cut off`, {
    skip: path === null && 'not installed: npm ci --prefix test/versions',
  }, async () => {
    const source = `import { WebSocketServer } from 'ws'; import http from 'node:http'; const server = http.createServer((q, r) => r.end('ok')); new WebSocketServer({ server }).on('connection', (s) => s.send('hello ' + process.env.REBIND_GENERATION)); server.listen(process.env.PORT, '127.0.0.1');`;
    await using hold = await start({
      command: [path ?? '', '--input-type=module', '--eval', source],
      cwd: fixture('../../..'),
    });
    await hold.heard('ready');
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(`ws://127.0.0.1:${hold.port}`);
    const said = await new Promise((resolve, reject) => {
      socket.on('message', (data) => resolve(String(data)));
      socket.on('error', reject);
    });
    assert.equal(said, 'hello 1');
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    await hold.held.restart();
    assert.equal(await closed, 1012);
    assert.equal((await hold.heard('retired')).counts?.killed, 0);
  });
}
