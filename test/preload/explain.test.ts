import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const preload = new URL('../../src/preload/explain.js', import.meta.url).href;
const library = new URL('../../src/index.js', import.meta.url).href;
const nodes = [
  process.execPath,
  ...['22', '24', '26'].map((version) =>
    fileURLToPath(new URL(`../../../test/versions/node_modules/node${version}/bin/node`, import.meta.url)),
  ),
].filter(existsSync);

const holder = net.createServer();
let port = 0;
before(async () => {
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  port = (holder.address() as AddressInfo).port;
});
after(() => holder.close());

function run(node: string, program: string): { status: number | null; stdout: string; stderr: string } {
  const args = ['--no-warnings', '--import', preload, '--input-type=module', '-e', program];
  return spawnSync(node, args, { encoding: 'utf8', timeout: 30_000 });
}

for (const node of nodes) {
  const { stdout: version } = spawnSync(node, ['-v'], { encoding: 'utf8' });

  test(`an uncaught EADDRINUSE of an unmodified program names the holder (${version.trim()})`, () => {
    const { status, stderr } = run(
      node,
      `import http from 'node:http'; http.createServer().listen(${port}, '127.0.0.1');`,
    );
    assert.equal(status, 1);
    assert.match(
      stderr,
      new RegExp(`listen EADDRINUSE: address already in use 127\\.0\\.0\\.1:${port}\\n  .*${process.pid}`),
    );
    assert.match(stderr, /code: 'EADDRINUSE'/);
  });

  test(`a caught error keeps its shape and has the fields, and the next try is explained too (${version.trim()})`, () => {
    const { stdout, stderr } = run(
      node,
      `import net from 'node:net';
       const server = net.createServer();
       const seen = [];
       server.on('error', (error) => {
         seen.push([error.code, error.syscall, error.port, error.verdict.cause, error.blockers[0].holders[0].pid, Object.keys(error).sort().join()]);
         if (seen.length === 1) server.listen({ port: ${port}, host: '127.0.0.1' });
         else { console.log(JSON.stringify(seen)); console.log(Object.hasOwn(server, 'emit')); }
       });
       server.listen(${port}, '127.0.0.1');`,
    );
    const one = ['EADDRINUSE', 'listen', port, 'other-listener', process.pid, 'address,code,errno,port,syscall'];
    assert.equal(stdout, `${JSON.stringify([one, one])}\nfalse\n`, stderr);
  });
}

test('EADDRNOTAVAIL, UDP, and a server that can listen', () => {
  const { stdout, stderr } = run(
    process.execPath,
    `import net from 'node:net'; import dgram from 'node:dgram'; import { once } from 'node:events';
     const away = net.createServer().listen(0, '192.0.2.1');
     const [error] = await once(away, 'error').catch((error) => [error]);
     console.log(error.code, error.verdict?.cause);
     const first = dgram.createSocket('udp4').bind(0, '127.0.0.1');
     await once(first, 'listening');
     const second = dgram.createSocket('udp4').bind(first.address().port, '127.0.0.1');
     const udp = await new Promise((resolve) => second.on('error', resolve));
     console.log(udp.code, udp.verdict?.cause);
     first.close(); second.close();
     const fine = net.createServer();
     await new Promise((resolve) => fine.listen(0, resolve));
     console.log(Object.hasOwn(fine, 'emit'), fine.address().port > 0);
     fine.close();`,
  );
  assert.equal(stdout, 'EADDRNOTAVAIL address-not-here\nEADDRINUSE other-listener\nfalse true\n', stderr);
});

test('a CommonJS program, by --import and by --require, and a worker of a cluster', (context) => {
  const program = `const net = require('node:net'), cluster = require('node:cluster');
    if (process.env.CLUSTER && cluster.isPrimary) cluster.fork().on('exit', (status) => process.exit(status));
    else net.createServer().listen(${port}, '127.0.0.1');`;
  const folder = mkdtempSync(join(tmpdir(), 'rebind-explain-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'program.cjs');
  writeFileSync(file, program);
  for (const node of nodes) {
    for (const [args, env] of [
      [['--import', preload], {}],
      [['--require', fileURLToPath(preload)], {}],
      [['--import', preload], { CLUSTER: '1' }],
    ] as const) {
      const { status, stderr } = spawnSync(node, [...args, '--no-warnings', file], {
        encoding: 'utf8',
        timeout: 30_000,
        env: { ...process.env, ...env },
      });
      assert.equal(status, 1, stderr);
      assert.match(
        stderr,
        new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${port}\\n  .*${process.pid}`),
        `${node} ${args[0]}`,
      );
    }
  }
});

test('what the program itself has, or another worker of its test run, is not to be stopped', async () => {
  const { stdout, stderr } = run(
    process.execPath,
    `import net from 'node:net'; import { once } from 'node:events';
     const first = net.createServer(() => {}).listen(0, '127.0.0.1');
     await once(first, 'listening');
     const [error] = await once(net.createServer(() => {}).listen(first.address().port, '127.0.0.1'), 'error').catch((error) => [error]);
     console.log(error.message);
     first.close();`,
  );
  assert.match(
    stdout,
    /^listen EADDRINUSE.*\n {2}This very process, .*: listen was called twice, or by two parts of the program\n {2}Listen once: /,
    stderr,
  );
  const folder = mkdtempSync(join(tmpdir(), 'rebind-worker-'));
  const program = `import net from 'node:net'; import { once } from 'node:events'; import { existsSync, writeFileSync } from 'node:fs';
     import { setTimeout as sleep } from 'node:timers/promises'; import { listen } from ${JSON.stringify(library)};
     const server = net.createServer(() => {});
     const blocked = await (process.env.LIBRARY ? listen(server, { port: Number(process.env.PORT), host: '127.0.0.1' }).then(() => null, (error) => error)
       : once(server.listen(process.env.PORT, '127.0.0.1'), 'listening').then(() => null, (error) => error));
     if (blocked) writeFileSync(process.env.OUT, [blocked.message, ...blocked.plan.map(({ remedy, sentence }) => remedy + ' ' + sentence)].join('\\n'));
     for (let i = 0; i < 500 && !existsSync(process.env.OUT); i++) await sleep(20);
     server.close();`;
  try {
    for (const name of ['a.mjs', 'b.mjs']) writeFileSync(join(folder, name), program);
    for (const LIBRARY of ['', '1']) {
      const out = join(folder, `answer${LIBRARY}`);
      const free = net.createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => free.once('listening', resolve));
      const PORT = String((free.address() as AddressInfo).port);
      await new Promise((resolve) => free.close(resolve));
      const { NODE_TEST_CONTEXT: _ours, ...environment } = process.env;
      const { stdout: said } = spawnSync(
        process.execPath,
        ['--no-warnings', '--test', '--test-concurrency=2', '--import', preload, 'a.mjs', 'b.mjs'],
        { cwd: folder, encoding: 'utf8', timeout: 60_000, env: { ...environment, LIBRARY, PORT, OUT: out } },
      );
      const answer = existsSync(out) ? readFileSync(out, 'utf8') : said;
      assert.match(answer, /which is another worker of the same test run/);
      assert.match(answer, /\nuse-port Let each test listen on port 0/);
      assert.doesNotMatch(answer, /stop-process/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('EACCES of a privileged port', {
  skip:
    Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) < 2 &&
    'this machine has no privileged ports',
}, () => {
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const program = `import net from 'node:net'; net.createServer().listen(1, '127.0.0.1');`;
  const args = ['--no-warnings', '--import', preload, '--input-type=module', '-e', program];
  const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: '/', timeout: 30_000, ...nobody });
  assert.match(stderr, /listen EACCES: permission denied 127\.0\.0\.1:1\n {2}127\.0\.0\.1:1 needs a privilege/);
});

test('the preload costs a program that has no error almost nothing', () => {
  const time = (args: string[]): number => {
    const times = Array.from({ length: 5 }, () => {
      const startMs = performance.now();
      spawnSync(process.execPath, [...args, '-e', '0']);
      return performance.now() - startMs;
    });
    return Math.min(...times);
  };
  // As it is published: one CommonJS file.
  const published = fileURLToPath(new URL('../../../dist/preload/explain.js', import.meta.url));
  const extraMs = time(['--require', published]) - time([]);
  assert.ok(extraMs < 60, `${extraMs} ms`);
});
