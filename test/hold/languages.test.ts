import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from '../../bench/load.ts';
import { fixture, freePort, get, losesNothing, start } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-languages-'));
after(() => rmSync(directory, { recursive: true }));

const has = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const missing = (command: string): string | false => !has(command) && `${command} is not installed`;

for (const mode of ['accept', 'epoll', 'poll', 'select']) {
  test(`a program that waits in ${mode} is seen to be ready by the kernel's evidence alone`, {
    skip: missing('python3'),
  }, async () => {
    await using hold = await start({ command: ['python3', fixture('activated.py'), mode] });
    const { by } = await hold.heard('ready');
    assert.equal(by, 'kernel');
    assert.equal(await get(hold.port), `1 ${mode}`);
    assert.equal((await hold.held.restart()).outcome, 'done');
    await hold.heard('retired');
    assert.equal(await get(hold.port), `2 ${mode}`);
  });
}

test('a program of another language that hangs before it listens is not taken as ready', {
  skip: missing('python3'),
}, async () => {
  await using hold = await start({ command: ['python3', fixture('activated.py'), 'hang'], readyTimeoutMs: 600 });
  const { sentence } = await hold.heard('note');
  assert.match(
    sentence,
    /^Generation 1 did not listen on 127\.0\.0\.1:\d+ within 0\.6 s\. Connections wait in the queue: 0 now$/,
  );
  assert.equal(
    hold.told.some(({ name }) => name === 'ready'),
    false,
  );
});

test('it is taken as ready after a time when that is asked for, and the answer says that nothing was seen', {
  skip: missing('python3'),
}, async () => {
  await using hold = await start({ command: ['python3', fixture('activated.py'), 'hang'], assumeReadyMs: 300 });
  assert.equal((await hold.heard('ready')).by, 'assumed');
});

writeFileSync(
  join(directory, 'app.py'),
  `import os
body = (os.environ['REBIND_GENERATION'] + ' python').encode()
def wsgi(environ, start_response):
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
async def asgi(scope, receive, send):
    if scope['type'] != 'http': return
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', str(len(body)).encode())]})
    await send({'type': 'http.response.body', 'body': body})
`,
);
writeFileSync(
  join(directory, 'config.ru'),
  `run ->(env) { body = ENV['REBIND_GENERATION'] + ' ruby'; [200, { 'Content-Length' => body.bytesize.to_s }, [body]] }\n`,
);

const restarts = 2;

const servers: Readonly<Record<string, (port: number) => string[]>> = {
  gunicorn: () => ['gunicorn', '--threads', '4', 'app:wsgi'],
  uvicorn: () => ['uvicorn', '--fd', '3', '--log-level', 'warning', 'app:asgi'],
  puma: (port) => ['puma', '--quiet', '--bind', `tcp://127.0.0.1:${port}`],
};

for (const [name, command] of Object.entries(servers)) {
  test(`${name} restarts under new connections, and none is refused or left hanging`, {
    skip: missing(name),
  }, async () => {
    const port = await freePort();
    await using hold = await start({ command: command(port), port, cwd: directory });
    const { by } = await hold.heard('ready');
    assert.ok(by === 'kernel' || by === 'notify', by);
    const end = new AbortController();
    const traffic = load({ host: '127.0.0.1', port, mode: 'new', perSecond: 50, signal: end.signal });
    for (let i = 0; i < restarts; i++) {
      await sleep(200);
      assert.equal((await hold.held.restart()).outcome, 'done');
    }
    await hold.heard('retired', restarts);
    end.abort();
    const { refused, reset, eof, timeout, hang, other, answers } = await traffic;
    assert.deepEqual({ refused, timeout, hang, other }, { refused: 0, timeout: 0, hang: 0, other: 0 });
    // These end in their own way: uvicorn and puma drop a connection that they accepted and have not read (Kludex/uvicorn#2757).
    assert.ok(reset + eof <= (name === 'gunicorn' ? 0 : 2 * restarts), `${reset} reset, ${eof} ended early`);
    assert.ok(answers.size >= 2);
  });
}

test('nginx, which finishes at SIGQUIT, loses no connection over restarts', {
  skip: spawnSync('nginx', ['-v']).status !== 0 && 'nginx is not installed',
}, async () => {
  const port = await freePort();
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    join(directory, 'nginx.conf'),
    `pid nginx.pid; error_log stderr error; worker_processes 2; events { worker_connections 256; }
    http {
      access_log off;
      ${kinds.map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(' ')}
      server { listen 127.0.0.1:${port}; location / { return 200 "$pid nginx"; } }
    }`,
  );
  await using hold = await start({
    // What it inherits it is told by a variable of its own (NGINX, src/core/nginx.c).
    command: ['env', 'NGINX=3;', 'nginx', '-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'],
    port,
    stopSignal: 'SIGQUIT',
  });
  assert.equal((await hold.heard('ready')).by, 'kernel');
  await losesNothing(hold, { modes: ['new', 'late'], restarts: 4 });
});
