import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { load, lostOf } from '../../bench/load.ts';
import { run } from './command.ts';
import { fixture, freePort, get, isAlive, rebind, slowGet } from './harness.ts';

const server = [process.execPath, fixture('server.cjs')];
const noTerminal = spawnSync('script', ['--version']).status !== 0 && 'script (util-linux) is not installed';
const ask = (...args: string[]) => spawnSync(process.execPath, [rebind, 'hold', ...args], { encoding: 'utf8' });

test('--status and --restart find the hold by its endpoint from another terminal', async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/\(pid \d+\) is ready/);
  const restarted = ask('--restart', `127.0.0.1:${port}`);
  assert.deepEqual([restarted.status, restarted.stdout], [0, 'Generation 2 serves\n']);
  assert.match(await get(port), /^2 /);
  // The bare port finds it too, although another address is held.
  const shown = ask('--status', String(port));
  assert.equal(shown.status, 0);
  assert.match(shown.stdout, new RegExp(`^127.0.0.1:${port}: 0 of 4096 connections wait to be accepted\n`));
  const document = JSON.parse(ask('--status', String(port), '--json').stdout);
  assert.equal(document.schema, 1);
  assert.equal(document.current.generation, 2);
  assert.deepEqual(
    document.past.map((one: { generation: number; outcome: string }) => [one.generation, one.outcome]),
    [[1, 'retired']],
  );
});

test('a port that nobody holds is an answer with exit 1, as JSON too', async () => {
  const port = String(await freePort());
  const shown = ask('--status', port, '--json');
  assert.equal(shown.status, 1);
  assert.deepEqual(JSON.parse(shown.stdout), {
    schema: 1,
    error: { kind: 'no-hold', message: `No hold of this user keeps ${port}` },
  });
});

test('SIGHUP restarts, and SIGTERM lets a request finish before everything ends', async () => {
  const port = await freePort();
  const env = { PORT: String(port), HOST: '127.0.0.1', ANSWER_MS: '500' };
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], { env });
  await held.printed(/\(pid \d+\) is ready/);
  held.child.kill('SIGHUP');
  await held.printed(/Generation 2 .* is ready/);
  const slow = slowGet(port);
  await slow.received;
  held.child.kill('SIGTERM');
  // Either generation may have accepted it; neither may lose it.
  assert.match(await slow.answer, /^[12] /);
  assert.equal(await held.ended, 143);
});

test('below a hold its port is free for the server that starts there, and nothing is stopped', async () => {
  const port = await freePort();
  const said = (words: string) => `"${process.execPath}" "${rebind}" ${words} 127.0.0.1:${port}`;
  const script = [
    `${said('free')} && ${said('wait --timeout 5s')} && ${said('why')}`,
    `echo "why $?"`,
    `exec "${process.execPath}" "${fixture('server.cjs')}"`,
  ].join('; ');
  // A hold is known by the name of its program.
  const folder = mkdtempSync(join(tmpdir(), 'rebind-below-'));
  symlinkSync(rebind, join(folder, 'rebind'));
  await using held = run(['hold', `127.0.0.1:${port}`, '--', 'sh', '-c', script], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
    before: ['sh', '-c', `shift; exec "$0" "${folder}/rebind" "$@"`],
  });
  await held.printed(/is ready/);
  rmSync(folder, { recursive: true });
  const answers = held.stdout().replace(/\s+/g, ' ');
  assert.match(answers, /^127\S+ is available; nothing was done\. rebind hold keeps 127\S+ open for the command/);
  assert.match(answers, /Start the server here: it gets the socket from rebind hold.* why 1 /);
  assert.match(await get(port), /^1 /);
});

test('--quiet prints nothing but the output of the command', async () => {
  const port = await freePort();
  const env = { PORT: String(port), HOST: '127.0.0.1', SAY: '1' };
  await using held = run(['hold', '--quiet', `127.0.0.1:${port}`, '--', ...server], { env });
  await held.printed(/^listening/);
  held.child.kill('SIGINT');
  await held.ended;
  assert.equal(held.stderr(), '');
  assert.match(held.stdout(), /^listening [^\n]*\n$/);
});

test('sockets that systemd passes are served on, and their command restarts like any other', {
  skip: spawnSync('systemd-socket-activate', ['--version']).status !== 0 && 'systemd-socket-activate is not installed',
}, async () => {
  const port = await freePort();
  const env = { PORT: String(port), HOST: '127.0.0.1' };
  await using held = run(['hold', '--', ...server], {
    env,
    before: ['systemd-socket-activate', '-E', 'PORT', '-E', 'HOST', '-l', `127.0.0.1:${port}`],
  });
  // It starts hold at the first connection, which waits in the queue meanwhile.
  assert.match(await connectingGet(port), /^1 /);
  await held.printed(new RegExp(`Holding 127.0.0.1:${port}`));
  assert.equal(ask('--restart', `127.0.0.1:${port}`).status, 0);
  assert.match(await get(port), /^2 /);
});

test('with the preload and no hold, an unmodified Node server listens on the socket that systemd passes', {
  skip: spawnSync('systemd-socket-activate', ['--version']).status !== 0 && 'systemd-socket-activate is not installed',
}, async () => {
  const port = await freePort();
  const { stdout } = ask('--unit', String(port), '--json', '--', ...server);
  const options = /^Environment=NODE_OPTIONS=(.*)$/m.exec(JSON.parse(stdout).service)?.[1] ?? '';
  const env = { ...process.env, PORT: String(port), HOST: '127.0.0.1', NODE_OPTIONS: options };
  const args = ['-E', 'PORT', '-E', 'HOST', '-E', 'NODE_OPTIONS', '-l', `127.0.0.1:${port}`, ...server];
  const child = spawn('systemd-socket-activate', args, { env, stdio: 'ignore' });
  try {
    assert.match(await connectingGet(port), new RegExp(` ${child.pid}$`));
  } finally {
    child.kill('SIGKILL');
  }
});

test('--take-over starts on the socket of a running server that knows nothing of it, and nobody is refused', async () => {
  const port = await freePort();
  const env = { ...process.env, PORT: String(port), HOST: '127.0.0.1', SAY: '1', REBIND_GENERATION: 'old' };
  const old = spawn(process.execPath, [fixture('server.cjs')], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve) => old.stdout.once('data', resolve));
    assert.match(await get(port), /^old /);
    const ended = new Promise<NodeJS.Signals | null>((resolve) => old.once('exit', (_code, signal) => resolve(signal)));
    const end = new AbortController();
    const traffic = load({ host: '127.0.0.1', port, mode: 'new', perSecond: 50, signal: end.signal });
    await using held = run(['hold', '--take-over', `127.0.0.1:${port}`, '--', ...server], {
      env: { PORT: String(port), HOST: '127.0.0.1' },
    });
    await held.printed(/\(pid \d+\) is ready/);
    assert.equal(await ended, 'SIGTERM');
    await held.printed(new RegExp(`Process ${old.pid}, whose socket was taken over, has exited`));
    await sleep(200);
    end.abort();
    const result = await traffic;
    assert.equal(result.refused + result.timeout + result.hang, 0);
    // What the old server was answering when it was asked to end, and had no handler for.
    assert.ok(lostOf(result) <= 3, `${lostOf(result)} lost`);
    assert.match(await get(port), /^1 /);
  } finally {
    old.kill('SIGKILL');
  }
});

test('a service manager hears of the start, of each reload and its end, and of the stop', async () => {
  const { NotifySocket } = await import('../../src/hold/notify.ts');
  const heard: ReadonlyMap<string, string>[] = [];
  const manager = new NotifySocket({ isProgram: () => true }, (variables) => heard.push(variables));
  const count = async (name: string, times: number): Promise<void> => {
    for (let i = 0; heard.filter((one) => one.has(name)).length < times; i++) {
      assert.ok(i < 500, `${name} was not heard ${times} times: ${JSON.stringify(heard.map((one) => [...one]))}`);
      await sleep(20);
    }
  };
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'rebind-notify-'));
  const file = join(directory, 'mode');
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1', NOTIFY_SOCKET: manager.name, MODE_FILE: file },
  });
  await count('READY', 1);
  held.child.kill('SIGHUP');
  await count('READY', 2);
  writeFileSync(file, 'crash');
  held.child.kill('SIGHUP');
  // The old one serves, so the reload is over.
  await count('READY', 3);
  assert.match(heard.at(-1)?.get('STATUS') ?? '', /^Generation 3 exited with status 1/);
  held.child.kill('SIGTERM');
  await count('STOPPING', 1);
  const reloads = heard.filter((one) => one.get('RELOADING') === '1');
  assert.equal(reloads.length, 2);
  // systemd asks for the clock that `CLOCK_MONOTONIC` is.
  for (const one of reloads) assert.ok(Number(one.get('MONOTONIC_USEC')) <= Number(process.hrtime.bigint() / 1000n));
  await held.ended;
  manager.close();
  rmSync(directory, { recursive: true });
});

test('the file that a killed server left is no obstacle, and that of one that listens is left alone', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rebind-stale-'));
  const path = join(directory, 'app.sock');
  const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const old = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(old.stdout, 'data');
  const { ino } = lstatSync(path);
  await using beside = run(['hold', path, '--', ...server], { env: { SOCKET_PATH: path } });
  assert.equal(await beside.ended, 1);
  assert.equal(lstatSync(path).ino, ino);
  const gone = once(old, 'exit');
  old.kill('SIGKILL');
  await gone;
  await using held = run(['hold', path, '--', ...server], { env: { SOCKET_PATH: path } });
  await held.printed(/\(pid \d+\) is ready/);
  // Not by the inode: the file system gives its number to the next file.
  const [response] = (await once(request({ socketPath: path, agent: false }).end(), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  response.destroy();
  held.child.kill('SIGINT');
  await held.ended;
  rmSync(directory, { recursive: true });
});

test('a server that an earlier hold left behind is named as that, and --take-over is offered', async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  // It ignores SIGTERM, so it outlives its hold until the guard kills it two seconds later.
  const deaf = `process.on('SIGTERM', () => {}); require('http').createServer((_, r) => r.end('deaf')).listen(${port}, '127.0.0.1')`;
  await using first = run(['hold', where, '--', process.execPath, '-e', deaf]);
  const [, pid] = await first.printed(/\(pid (\d+)\) is ready/);
  await using beside = run(['hold', where, '--', ...server]);
  assert.equal(await beside.ended, 1);
  assert.doesNotMatch(beside.stderr(), /--take-over/);
  const gone = once(first.child, 'exit');
  first.child.kill('SIGKILL');
  await gone;
  await using second = run(['hold', where, '--', ...server]);
  assert.equal(await second.ended, 1);
  assert.match(
    second.stderr().replace(/\s+/g, ' '),
    new RegExp(`Add --take-over: .* process ${pid}, which an earlier hold left behind`),
  );
});

test('--unit prints a socket and a service that systemd accepts', {
  skip: spawnSync('systemd-analyze', ['--version']).status !== 0 && 'systemd-analyze (systemd) is not installed',
}, () => {
  const words = [
    '--unit',
    '127.0.0.1:8081',
    '/tmp/a b.sock',
    '--stop-signal',
    'SIGQUIT',
    '--',
    process.execPath,
    fixture('server.cjs'),
    'an argument',
    '100%',
    '$HOME',
  ];
  const { status, stdout } = ask(...words);
  assert.equal(status, 0);
  assert.match(stdout, /^# \/etc\/systemd\/system\/server\.socket\n/);
  assert.match(stdout, /^ListenStream=127\.0\.0\.1:8081$/m);
  assert.match(stdout, /^ListenStream=\/tmp\/a b\.sock$/m);
  assert.match(stdout, /^ExecStart=\S+node \S+server\.cjs "an argument" 100%% \$\$HOME$/m);
  assert.match(stdout, /^KillSignal=SIGQUIT$/m);
  assert.match(stdout, /^Environment=NODE_OPTIONS=--require=\/.*preload\/adopt\.js$/m);
  const directory = mkdtempSync(join(tmpdir(), 'rebind-units-'));
  try {
    const { name, socket, service } = JSON.parse(ask('--json', ...words).stdout);
    const files = [join(directory, `${name}.socket`), join(directory, `${name}.service`)];
    for (const [index, text] of [socket, service].entries()) writeFileSync(files[index] ?? '', text);
    const verified = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
    assert.deepEqual([verified.status, verified.stderr], [0, '']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('--unit names no directory, socket or program that a unit file would read as another one', () => {
  for (const [words, wrong] of [
    [['/tmp/a\nb.sock', '--', 'true'], /The socket "\/tmp\/a\\nb\.sock" has characters that a unit file cannot hold/],
    [['unix:/tmp/a ', '--', 'true'], /cannot hold/],
    [['3000', '--', 'no-such-program-here'], /There is no command "no-such-program-here"/],
  ] as const) {
    const { status, stderr, stdout } = ask('--unit', ...words);
    assert.deepEqual([status, stdout], [2, ''], stderr);
    assert.match(stderr, wrong);
  }
});

/** The first connection may find nobody listening yet. */
async function connectingGet(port: number): Promise<string> {
  for (let i = 0; ; i++) {
    try {
      return await get(port);
    } catch (error) {
      if (i > 100) throw error;
      await sleep(20);
    }
  }
}

test('the terminal passes through: input, colours, width and the exit status', { skip: noTerminal }, async () => {
  const port = await freePort();
  const program = `console.log('seen', process.stdin.isTTY, process.stdout.isTTY, process.stderr.isTTY, process.stdout.columns); process.stdin.once('data', (text) => { console.log('read', JSON.stringify(String(text))); process.exit(5); })`;
  const command = `stty cols 77; '${process.execPath}' '${rebind}' hold 127.0.0.1:${port} -- '${process.execPath}' -e "$PROGRAM"; echo status $?`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, PROGRAM: program, NO_COLOR: '1', NODE_OPTIONS: '' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    if (text.includes('seen') === false && (text + chunk).includes('seen')) child.stdin.write('hello\n');
    text += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  assert.match(text, /seen true true true 77/);
  assert.match(text, /read "hello\\n"/);
  assert.match(text, /status 5/);
});

interface Terminal extends AsyncDisposable {
  type(text: string): void;
  printed(wanted: RegExp): Promise<void>;
  /** Closes the window. */
  close(): void;
}

/** bash with job control, on a terminal of its own. */
function terminal(script: string, env: NodeJS.ProcessEnv): Terminal {
  const child = spawn('script', ['-qec', `exec bash --norc -c 'set -m; ${script}'`, '/dev/null'], {
    env: { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '', NODE: process.execPath, REBIND: rebind, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    type: (typed) => void child.stdin.write(typed),
    async printed(wanted) {
      for (let i = 0; !wanted.test(text); i++) {
        assert.ok(i < 1_000, `${wanted} was not printed: ${text}`);
        await sleep(20);
      }
    },
    // Its master side is closed with it, which the kernel tells as SIGHUP.
    close: () => void child.kill('SIGKILL'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      child.stdout.destroy();
      await ended;
    },
  };
}

/** Until nobody holds the port any more. */
async function untilOver(port: number): Promise<void> {
  for (let i = 0; ask('--status', String(port)).status === 0; i++) {
    assert.ok(i < 100, 'the port is still held');
    await sleep(100);
  }
}

function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) (.).*$/s, '$1');
}

test('Ctrl-Z stops the command with hold, and fg lets both go on', { skip: noTerminal }, async () => {
  const port = await freePort();
  const script = '"$NODE" "$REBIND" hold 127.0.0.1:$PORT -- "$NODE" "$SERVER"; echo left $?; read; fg; echo over $?';
  await using window = terminal(script, { SERVER: fixture('server.cjs'), PORT: String(port), HOST: '127.0.0.1' });
  await window.printed(/is ready/);
  const { current } = JSON.parse(ask('--status', String(port), '--json').stdout);
  window.type('\x1a');
  // 128 and the number of SIGTSTP.
  await window.printed(/left 148/);
  assert.equal(stateOf(current.pid), 'T');
  const answer = get(port);
  window.type('\n');
  assert.match(await answer, /^1 /);
  window.type('\x03');
  await window.printed(/over 130/);
});

test('Ctrl-Z does nothing where no shell could continue it', async () => {
  const port = await freePort();
  const child = spawn(process.execPath, [rebind, 'hold', '--quiet', `127.0.0.1:${port}`, '--', ...server], {
    env: { ...process.env, NODE_OPTIONS: '', PORT: String(port), HOST: '127.0.0.1' },
    stdio: 'ignore',
    // The leader of a session of its own: its process group is orphaned.
    detached: true,
  });
  const ended = once(child, 'exit');
  try {
    assert.match(await connectingGet(port), /^1 /);
    for (let i = 0; i < 2; i++) {
      child.kill('SIGTSTP');
      await sleep(200);
      assert.notEqual(stateOf(child.pid ?? 0), 'T');
      assert.match(await get(port), /^1 /);
    }
  } finally {
    child.kill('SIGINT');
    await ended;
  }
});

test('in the background the command does not read what is typed for the shell', { skip: noTerminal }, async () => {
  const program = `console.log('stdin is', require('fs').readlinkSync('/proc/self/fd/0')); require('http').createServer((q, r) => r.end('ok')).listen(process.env.PORT, '127.0.0.1')`;
  const hold = '"$NODE" "$REBIND" hold 127.0.0.1:$PORT -- "$NODE" -e "$PROGRAM"';
  for (const [script, stdin] of [
    [`${hold} & read; kill %1; wait`, /stdin is \/dev\/null/],
    [hold, /stdin is \/dev\/pts\//],
  ] as const) {
    const port = await freePort();
    await using window = terminal(script, { PROGRAM: program, PORT: String(port) });
    await window.printed(stdin);
    await window.printed(/is ready/);
    window.type(script === hold ? '\x03' : '\n');
    await untilOver(port);
  }
});

test('the terminal is closed: everything ends and the port is free', { skip: noTerminal }, async () => {
  const port = await freePort();
  // Nothing is written to the terminal, so that only the signal tells.
  const script = '"$NODE" "$REBIND" hold --quiet 127.0.0.1:$PORT -- "$NODE" "$SERVER"';
  await using window = terminal(script, { SERVER: fixture('server.cjs'), PORT: String(port), HOST: '127.0.0.1' });
  assert.match(await connectingGet(port), /^1 /);
  const { current } = JSON.parse(ask('--status', String(port), '--json').stdout);
  window.close();
  await untilOver(port);
  assert.equal(isAlive(current.pid), false);
});
