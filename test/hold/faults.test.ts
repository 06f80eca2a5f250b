import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from './command.ts';
import { fixture, freePort, get, isAlive, rebind, slowGet, start } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-faults-'));
after(() => rmSync(directory, { recursive: true }));
const server = [process.execPath, fixture('server.cjs')];

test('a command that does not exist, or is not executable, is told before anything is started: 127 and 126, as a shell', async () => {
  const port = await freePort();
  await using missing = run(['hold', String(port), '--', 'no-such-command-here']);
  assert.equal(await missing.ended, 127);
  assert.equal(missing.stderr(), 'rebind: There is no command "no-such-command-here"; nothing was started\n');
  const file = join(directory, 'plain');
  writeFileSync(file, 'text');
  chmodSync(file, 0o644);
  await using plain = run(['hold', String(port), '--', file]);
  assert.equal(await plain.ended, 126);
  assert.match(plain.stderr(), /is not executable; nothing was started\n$/);
});

test('a command that exits at once ends hold with its status, and the port is free', async () => {
  const port = await freePort();
  for (const status of [0, 3]) {
    await using held = run(['hold', `127.0.0.1:${port}`, '--', 'sh', '-c', `exit ${status}`]);
    assert.equal(await held.ended, status);
    assert.equal(
      held.stderr(),
      `rebind: Holding 127.0.0.1:${port}\nrebind: Generation 1 exited with status ${status} before it was ready: it is not restarted automatically\n`,
    );
  }
  await using killed = run(['hold', `127.0.0.1:${port}`, '--', 'sh', '-c', 'kill -SEGV $$']);
  assert.equal(await killed.ended, 139);
  bindable(port);
});

test('a command that served and ends with status 0 is no crash', async () => {
  const source = `require('http').createServer((q, r) => r.end('last', () => process.exit(0))).listen(process.env.PORT, '127.0.0.1')`;
  await using held = await start({ command: [process.execPath, '-e', source] });
  await held.heard('ready');
  await get(held.port).catch(() => {});
  assert.equal(await held.held.done, 0);
  assert.deepEqual(
    held.told.filter(({ name }) => name === 'crash'),
    [],
  );
});

test('a command that does not end within the grace is killed, and that is told', async () => {
  const port = await freePort();
  const source = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); require('http').createServer().listen(${port}, '127.0.0.1')`;
  await using held = run(['hold', '--grace', '600ms', `127.0.0.1:${port}`, '--', process.execPath, '-e', source]);
  await held.printed(/is ready/);
  held.child.kill('SIGTERM');
  assert.equal(await held.ended, 137);
  assert.match(held.stderr(), /rebind: Generation 1 did not exit within 0\.6 s and was killed\n$/);
});

test('a command that listens elsewhere is named, with where it listens', async () => {
  const elsewhere = await freePort();
  await using held = await start({ command: server, env: { PORT: String(elsewhere) }, readyTimeoutMs: 2_000 });
  const { sentence } = await held.heard('note');
  assert.match(
    sentence,
    new RegExp(`did not listen on 127.0.0.1:${held.port} within 2 s; it listens on 127.0.0.1:${elsewhere} instead`),
  );
});

test('a command that never listens is said to be waited for, with the length of the queue, and is not ended', async () => {
  await using held = await start({ command: ['sleep', '60'], readyTimeoutMs: 300 });
  const { sentence } = await held.heard('note');
  assert.match(sentence, /did not listen on .* within 0\.3 s\. Connections wait in the queue: 0 now/);
  assert.equal(held.held.status().current?.state, 'starting');
});

test('a command that goes to the background is stopped, because hold must keep it in the foreground', async () => {
  const file = join(directory, 'daemon.pid');
  const command = ['sh', '-c', `sleep 60 & echo $! > ${file}; sleep 0.1`];
  await using held = await start({ command });
  assert.equal(await held.held.done, 0);
  assert.ok(held.notes().includes('The command went to the background: hold must keep it in the foreground'));
  const pid = Number(spawnSync('cat', [file], { encoding: 'utf8' }).stdout);
  assert.ok(pid > 0);
  // Ended, or a zombie that init has not read yet.
  assert.ok(!isAlive(pid) || stateOf(pid) === 'Z');
});

test('a daemon, which has left the session, is also stopped: nothing outlives hold, and hold itself exits', {
  skip: spawnSync('python3', ['--version']).status !== 0 && 'python3 is not installed',
}, async () => {
  const port = await freePort();
  const file = join(directory, 'real-daemon.pid');
  await using held = run(['hold', `127.0.0.1:${port}`, '--', 'python3', fixture('daemon.py'), file]);
  assert.equal(await held.ended, 0);
  assert.match(held.stderr(), /The command went to the background: hold must keep it in the foreground/);
  const pid = Number(readFileSync(file, 'utf8'));
  assert.ok(!isAlive(pid) || stateOf(pid) === 'Z');
  bindable(port);
});

test('a command that prints binary data does not disturb hold, and its lines are shown without control characters', async () => {
  const text = String.raw`process.stderr.write(Buffer.from([0, 27, 91, 50, 74, 255, 254, 7, 10])); process.stderr.write('readable\n', () => process.exit(4))`;
  const chunks: Buffer[] = [];
  const { Writable } = await import('node:stream');
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  await using held = await start({ command: server, stderr, env: { MODE_FILE: '' } });
  await held.heard('ready');
  await using other = run(['hold', `127.0.0.1:${await freePort()}`, '--', process.execPath, '-e', text]);
  assert.equal(await other.ended, 4);
  assert.ok(other.stderr().includes('readable'));
});

test('a program that changes its user still drains, and is stopped', {
  skip: process.getuid?.() !== 0 && 'needs root to become somebody else',
}, async () => {
  const source = `process.setgid(65534); process.setuid(65534); require('http').createServer((q, r) => setTimeout(() => r.end(process.getuid() + ' ' + process.env.REBIND_GENERATION), 3000)).listen(process.env.PORT, '127.0.0.1')`;
  await using held = await start({ command: [process.execPath, '-e', source] });
  await held.heard('ready');
  const slow = slowGet(held.port);
  await slow.received;
  assert.equal((await held.held.restart()).outcome, 'done');
  assert.equal(await slow.answer, '65534 1');
  assert.deepEqual((await held.heard('retired')).counts, { finished: 1, idle: 0, killed: 0, handedOff: 0 });
});

test('a program that closes every descriptor before it listens is sent the socket', async () => {
  const source = `for (let fd = 3; fd < 64; fd++) { try { if (require('fs').fstatSync(fd).isSocket() && fd > 2 && ${'/^socket:/'}.test(require('fs').readlinkSync('/proc/self/fd/' + fd)) && process.env.REBIND_HOLD.includes(':' + require('fs').fstatSync(fd).ino + '"')) require('fs').closeSync(fd); } catch {} } require('http').createServer((q, r) => r.end('sent')).listen(process.env.PORT, '127.0.0.1')`;
  await using held = await start({ command: [process.execPath, '-e', source] });
  await held.heard('ready');
  assert.equal(await get(held.port), 'sent');
});

test('an endpoint that somebody has is explained as why does, and nothing is started', async () => {
  await using other = serve();
  const port = await other.port;
  const marker = join(directory, 'started');
  await using held = run(['hold', `127.0.0.1:${port}`, '--', 'touch', marker]);
  assert.equal(await held.ended, 1);
  assert.match(held.stderr(), /^rebind: Nothing was started\n\n127\.0\.0\.1:\d+ is in use by node/);
  assert.match(held.stderr(), new RegExp(`${process.pid}`));
  assert.equal(spawnSync('ls', [marker]).status, 2);
});

test('a port below 1024 without the privilege is an answer and not a crash', {
  skip: process.getuid?.() !== 0 && 'needs root to become somebody else',
}, async () => {
  await using held = run(['hold', '127.0.0.1:81', '--', 'true'], {
    before: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'],
  });
  assert.equal(await held.ended, 1);
  assert.match(
    held.stderr(),
    /^rebind: Nothing was started\n\n127\.0\.0\.1:81 is not available\n127\.0\.0\.1:81 needs a privilege that user nobody does not have: [\s\S]*\nEACCES: rebind help privileged-port\n$/,
  );
});

test('two holds on one endpoint: the second one says who has it', async () => {
  const port = await freePort();
  await using first = run(['hold', `127.0.0.1:${port}`, '--', ...server], { env: { PORT: String(port) } });
  await first.printed(/is ready/);
  await using second = run(['hold', `127.0.0.1:${port}`, '--', ...server], { env: { PORT: String(port) } });
  assert.equal(await second.ended, 1);
  assert.match(second.stderr(), /EADDRINUSE/);
  assert.match(await get(port), /^1 /);
});

test('descriptors that are not sockets are refused with their number', async () => {
  const fd = openSync('/dev/null', 'r');
  try {
    await assert.rejects(start({ command: server, descriptors: [fd], endpoints: () => [] }), {
      name: 'RangeError',
      message: `Descriptor ${fd} cannot be held: it is not a socket`,
    });
  } finally {
    closeSync(fd);
  }
});

test('a wrong command line is one sentence and exit 2', async () => {
  const cases: [string[], RegExp][] = [
    [['hold', '3000'], /A command is needed after --/],
    [['hold', '3000', '--grace', 'soon', '--', 'true'], /--grace takes a length of time/],
    [['hold', '3000', '--ready', 'soon', '--', 'true'], /--ready/],
    [['hold', '--status', '3000', '--', 'true'], /without a command/],
    [['hold', '--restart'], /one endpoint/],
    [['hold', '--stop', '3000', '3001'], /one endpoint/],
    [['hold', '--stop', '--status', '3000'], /not both/],
    [['hold', '3000', '--json', '--', 'true'], /--json goes with/],
    [['hold', '--unit', '--', 'true'], /--unit needs an endpoint/],
  ];
  for (const [args, wanted] of cases) {
    await using held = run(args);
    assert.equal(await held.ended, 2, args.join(' '));
    assert.match(held.stderr(), wanted);
    assert.equal(held.stderr().trim().split('\n').length, 1);
  }
});

test('a file system that cannot be written is no obstacle', {
  skip: !canUnshare() && 'no mount namespace here',
}, async () => {
  const port = await freePort();
  const script =
    'mount -o remount,bind,ro / 2>/dev/null || mount --bind / /mnt && mount -o remount,bind,ro /mnt; exec "$@"';
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    before: ['unshare', '-Urm', 'sh', '-c', script, 'sh'],
    env: { PORT: String(port), HOST: '127.0.0.1', TMPDIR: '/proc' },
  });
  await held.printed(/is ready/);
  assert.match(await get(port), /^1 /);
});

test('Ctrl-C at every stage ends hold and its command, with the status of an interrupted one', async () => {
  for (const stage of ['before anything', 'starting', 'ready', 'restarting']) {
    const port = await freePort();
    const env = { PORT: String(port), HOST: '127.0.0.1', BOOT_MS: stage === 'ready' ? '0' : '400', SAY: '1' };
    await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], { env });
    if (stage !== 'before anything') await held.printed(/Holding/);
    if (stage === 'ready' || stage === 'restarting') await held.printed(/is ready/);
    if (stage === 'restarting') {
      held.child.kill('SIGHUP');
      await held.printed(/Starting generation 2/);
    }
    held.child.kill('SIGINT');
    const status = await held.ended;
    assert.ok(status === 130 || status === 'SIGINT', `${stage}: ${status}`);
    bindable(port);
  }
});

test('a second Ctrl-C does not wait for a program that ignores the first', async () => {
  const port = await freePort();
  const stubborn = `process.on('SIGINT', () => console.log('ignored')); ${'require("http").createServer().listen(process.env.PORT, "127.0.0.1")'}`;
  await using held = run(['hold', `127.0.0.1:${port}`, '--', process.execPath, '-e', stubborn], {
    env: { PORT: String(port) },
  });
  await held.printed(/is ready/);
  held.child.kill('SIGINT');
  // Once, although a terminal would have sent it to both: the command has a session of its own.
  await held.printed(/ignored/);
  held.child.kill('SIGINT');
  assert.equal(await held.ended, 137);
  assert.equal(held.stdout().match(/ignored/g)?.length, 1);
});

test('when hold itself is killed nothing outlives it, and the port can be bound at once', async () => {
  for (const command of [
    server,
    ['sh', '-c', `${process.execPath} ${fixture('server.cjs')}; true`],
    ['python3', fixture('activated.py'), 'epoll'],
  ]) {
    const port = await freePort();
    await using held = run(['hold', `127.0.0.1:${port}`, '--', ...command], {
      env: { PORT: String(port), HOST: '127.0.0.1' },
    });
    const [, pid] = await held.printed(/\(pid (\d+)\) is ready/);
    held.child.kill('SIGKILL');
    await held.ended;
    bindable(port);
    for (let i = 0; i < 100 && isAlive(Number(pid)) && stateOf(Number(pid)) !== 'Z'; i++)
      await new Promise((r) => setTimeout(r, 20));
    assert.ok(!isAlive(Number(pid)) || stateOf(Number(pid)) === 'Z', `${command.join(' ')} lives on`);
  }
});

/** Fails when the port cannot be bound within two seconds. */
function bindable(port: number): void {
  const args = [rebind, 'wait', `127.0.0.1:${port}`, '--timeout', '2s'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${port} is not free: ${stdout}${stderr}`);
}

function stateOf(pid: number): string {
  return spawnSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
}

function canUnshare(): boolean {
  return spawnSync('unshare', ['-Urm', 'true']).status === 0;
}

function serve(): AsyncDisposable & { readonly port: Promise<number> } {
  const other = createServer((_request, response) => response.end('other'));
  const port = new Promise<number>((resolve) => {
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
  });
  return {
    port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => other.close(() => resolve())),
  };
}
