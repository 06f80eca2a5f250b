/**
 * Another user of the machine against hold and take-over: what it can reach, and what it can do there. As root; without root in a user
 * namespace that maps a second user.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { passOn } from '../../src/hold/notify.ts';
import { close, listen } from '../../src/index.ts';
import { os } from '../../src/os/index.ts';
import { type Running, run } from './command.ts';
import { fixture, freePort, get, rebind, start } from './harness.ts';

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const program = fileURLToPath(new URL('stranger-program.js', import.meta.url));
const server = [process.execPath, fixture('server.cjs')];
const drop = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
/** Ranges of /etc/subuid, which newuidmap(1) gives to who has no right to map users. */
const mapped = ['-U', '--map-root-user', '--map-auto', '--setgroups', 'allow', '-m'];
const lackingNamespace = isRoot
  ? spawnSync('unshare', ['-U', '-m', 'true']).status !== 0 && 'needs user namespaces'
  : spawnSync('unshare', [...mapped, ...drop, 'true']).status !== 0 &&
    'needs newuidmap, and a range of users in /etc/subuid';
const skip =
  (!isRoot && 'needs root; the last test of this file runs all in a user namespace') ||
  (spawnSync('setpriv', ['--version']).status !== 0 && 'setpriv is not installed');

/** What an attack of a process of another user, which is no program of hold, came to. */
async function attack(name: string, ...words: string[]): Promise<unknown> {
  const child = spawn(process.execPath, [program, name, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const text = Buffer.concat(await child.stdout.toArray()).toString();
  return JSON.parse(text.slice(name.length));
}

/** The same, of a program below hold that became another user. */
async function outcome(held: Running, name: string): Promise<unknown> {
  return JSON.parse((await held.printed(new RegExp(`^${name} (.*)$`, 'm')))[1] ?? '');
}

function attacker(port: number, name: string, ...words: string[]) {
  return {
    args: ['hold', `127.0.0.1:${port}`, '--', process.execPath, program, name, ...words],
    env: { PORT: String(port), HOST: '127.0.0.1' },
  };
}

const ask = (question: string, port: number) =>
  spawnSync(process.execPath, [rebind, 'hold', question, String(port)], { encoding: 'utf8' });

/** It goes on: it answers, and a new generation is heard and serves. */
function goesOn(port: number): void {
  assert.equal(ask('--status', port).status, 0);
  assert.deepEqual(ask('--restart', port).stdout, 'Generation 2 serves\n');
}

test('no name that the kernel shows lets another user in', { skip }, async () => {
  const port = await freePort();
  await using held = run(
    [
      'hold',
      '--ready',
      'notify',
      `127.0.0.1:${port}`,
      '--',
      'sh',
      '-c',
      'systemd-notify --ready; exec "$@"',
      'sh',
      ...server,
    ],
    {
      env: { PORT: String(port), HOST: '127.0.0.1' },
    },
  );
  const door = createServer();
  await listen(door, { port: 0, host: '127.0.0.1', busy: 'take-over' });
  await held.printed(/Holding/);
  const lock = os().channels.tryLock('strangers-test');
  const directory = os().channels.place().directory ?? '';
  const locked = join(directory, 'own', 'lock-strangers-test');
  assert(statSync(locked).isFile());
  const outcomes = (await attack('names', `${held.pid}|${process.pid}`, locked)) as Record<string, string>;
  lock?.release();
  await close(door);
  // The control socket, the inbox, the door and the lock.
  assert(Object.keys(outcomes).filter((name) => name.startsWith(directory)).length >= 4, JSON.stringify(outcomes));
  // The name under which the inbox was bound leads nowhere, and nobody may look.
  for (const [name, code] of Object.entries(outcomes))
    assert.equal(code, name.startsWith('@rebind-claim/') ? 'ECONNREFUSED' : 'EACCES', name);
});

test('a process of the same user as the program, and not below hold, is neither heard nor believed', {
  skip,
}, async () => {
  const port = await freePort();
  await using held = run(
    ['hold', '--ready', 'notify', `127.0.0.1:${port}`, '--', ...drop, 'sh', '-c', waitingProgram],
    {
      env: { PORT: String(port) },
    },
  );
  const pid = (await held.printed(/^pid (\d+)$/m))[1] ?? '';
  const { visits, forged, lingering } = (await attack('throughProgram', pid)) as {
    visits: { answer: string; closed: boolean }[];
    forged: string[];
    lingering: string;
  };
  for (const visit of visits) assert.deepEqual(visit, { answer: '', closed: true });
  assert.deepEqual(new Set([...forged, lingering]), new Set(['sent']));
  const askedMs = performance.now();
  assert.equal(ask('--status', port).status, 0);
  assert(performance.now() - askedMs < 5_000, 'the loop is blocked');
  assert.doesNotMatch(held.stderr(), /is ready/);
  // Its own word is heard behind theirs.
  process.kill(Number(pid), 'SIGUSR1');
  await held.printed(new RegExp(`pid ${pid}\\) is ready`));
});

/** Says READY=1 on SIGUSR1. */
const waitingProgram = `trap 'systemd-notify --ready' USR1; echo pid $$; while :; do sleep 0.1; done`;

test('what is no message closes its connection, and nothing else', { skip }, async () => {
  const port = await freePort();
  const { args, env } = attacker(port, 'nonsense');
  await using held = run(args, { env });
  const outcomes = (await outcome(held, 'nonsense')) as Record<string, { answer: string; closed: boolean }>;
  assert(Object.keys(outcomes).length > 10);
  for (const [name, visit] of Object.entries(outcomes)) assert.deepEqual(visit, { answer: '', closed: true }, name);
  await held.printed(/\(pid \d+\) is ready/);
  goesOn(port);
});

test('a program has at most 128 connections, and a generation at most half of those that hold keeps', {
  skip,
}, async () => {
  for (const [limit, most] of [
    [4_096, 128],
    [128, 16],
  ] as const) {
    const port = await freePort();
    const { args, env } = attacker(port, 'flood', '200');
    await using held = run(args, { env, before: ['prlimit', `--nofile=${limit}`] });
    const kept = Number(await outcome(held, 'flood'));
    assert.equal(kept, most, `of ${limit} descriptors`);
    await held.printed(/\(pid \d+\) is ready/);
    // The first generation has as many as it can again, and the next one is heard all the same.
    await held.printed(/^again \d+$/m);
    goesOn(port);
  }
});

test('lines that do not end are kept up to a megabyte for one generation', { skip }, async () => {
  const port = await freePort();
  const { args, env } = attacker(port, 'unfinished', '100');
  await using held = run(args, { env });
  assert.equal(await outcome(held, 'unfinished'), 10, 'ten of a hundred connections with 100,000 characters each');
  await held.printed(/\(pid \d+\) is ready/);
  goesOn(port);
});

test('a program that asks for its socket and is gone before the answer harms nothing', { skip }, async () => {
  const port = await freePort();
  const { args, env } = attacker(port, 'gone');
  await using held = run(args, { env });
  await outcome(held, 'gone');
  await held.printed(/\(pid \d+\) is ready/);
  goesOn(port);
});

test('a program is given at most 64 addresses of a bare port', { skip }, async () => {
  const port = await freePort();
  const { env } = attacker(port, 'addresses');
  await using held = run(['hold', String(port), '--', process.execPath, program, 'addresses', '70'], { env });
  const { given, last } = (await outcome(held, 'addresses')) as { given: number; last: string };
  assert.equal(given, 64);
  assert.match(last, /hold keeps 64 addresses of port \d+ already/);
});

test('a program that gave up root does not get the port of a process that root runs, nor one that root opened', {
  skip,
}, async () => {
  const port = await freePort();
  const victim = createTcpServer((socket) => socket.end('victim'));
  victim.listen(0, '127.0.0.1');
  await once(victim, 'listening');
  const { fd } = (victim as unknown as { _handle: { fd: number } })._handle;
  const { port: stolen } = victim.address() as { port: number };
  const stat = statSync(`/proc/self/fd/${fd}`);
  const words = [String(process.pid), String(fd), `${stat.dev}:${stat.ino}`, String(stolen)];
  // It inherits the socket as well: a program that root started by carelessness.
  const child = spawn(process.execPath, [rebind, 'hold', '--', process.execPath, program, 'steal', ...words], {
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'pipe', fd],
  });
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  assert(child.stdout !== null);
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  assert.match(line, /^steal /);
  child.kill('SIGHUP');
  await sleep(1_500);
  child.kill('SIGINT');
  await once(child, 'close');
  assert.doesNotMatch(text, new RegExp(`Holding 127.0.0.1:${stolen}|learned.*${stolen}`));
  assert.match(text, /Cannot learn/);
  victim.close();
});

test('a learned port is given to no user who did not open it', { skip }, async () => {
  const port = await freePort();
  // The child of root's server is given the descriptor that leads to hold, and its environment.
  const code = `require('net').createServer(() => {}).listen(${port}, '127.0.0.1', () => setTimeout(() => {
    require('child_process').spawn(process.execPath, [${JSON.stringify(program)}, 'find', '127.0.0.1', '${port}'], { stdio: 'inherit' });
  }, 300))`;
  await using held = run(['hold', '--', process.execPath, '-e', code], {});
  const [given, elsewhere] = (await outcome(held, 'find')) as { answer: string; closed: boolean }[];
  assert.match(given?.answer ?? '', /"why":"uid 65534 did not open it"/);
  assert.deepEqual(elsewhere, { answer: '', closed: true });
});

test('a learned or leased port is given to processes of the run alone, also of the same user', async () => {
  const code = "require('net').createServer(() => {}).listen(0, '127.0.0.1')";
  await using held = await start({ endpoints: () => [], command: [process.execPath, '-e', code] });
  await held.heard('learned');
  const { pid } = await held.heard('ready');
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  const { token, control } = JSON.parse(
    variables.find((one) => one.startsWith('REBIND_HOLD='))?.slice('REBIND_HOLD='.length) ?? '{}',
  ) as { token: string; control: string };
  for (const question of [
    { kind: 'find', token, generation: 1, host: '127.0.0.1', port: 0 },
    { kind: 'lease', token, generation: 1, port: 3000 },
  ]) {
    const socket = connect(control.replace('@', '\0'));
    socket.on('error', () => {}).write(`${JSON.stringify(question)}\n`);
    assert.equal(Buffer.concat(await socket.toArray()).toString(), '');
  }
});

test('a socket whose close blocks cannot be sent to the control socket', { skip }, async (t) => {
  const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 16)) return t.skip('SO_PASSRIGHTS came with Linux 6.16');
  const port = await freePort();
  const { args, env } = attacker(port, 'linger');
  await using held = run(args, { env });
  assert.equal(await outcome(held, 'linger'), 'EPERM');
  goesOn(port);
});

test('a file of a FUSE server that answers nothing, sent to the notify socket by our own user, does not block hold', {
  skip: skip || (spawnSync('python3', ['--version']).status !== 0 && 'python3 is not installed'),
}, async (t) => {
  try {
    closeSync(openSync('/dev/fuse', 'r+'));
  } catch {
    return t.skip('the kernel lets this user open no /dev/fuse');
  }
  const directory = mkdtempSync(join(tmpdir(), 'rebind-fuse-'));
  let hear: (text: string) => void = () => {};
  const heard = new Promise<string>((resolve) => {
    hear = resolve;
  });
  const inbox = os().channels.openInbox('fuse-test', { believe: () => true, onData: (data) => hear(data.toString()) });
  const sender = spawn('unshare', ['-m', 'python3', fixture('fuse.py'), directory], {
    env: { ...process.env, NOTIFY_SOCKET: inbox.address },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  sender.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  assert.equal(await heard, 'READY=1');
  sender.stdin.end();
  await once(sender, 'close');
  inbox.close();
  rmSync(directory, { recursive: true });
  assert.equal(said, 'sent\n');
});

test('a generation that does not serve cannot make the service manager end hold by its watchdog', async () => {
  const heard: string[] = [];
  const inbox = os().channels.openInbox('watchdog-test', {
    believe: () => true,
    onData: (data) => heard.push(data.toString()),
  });
  const { NOTIFY_SOCKET: before } = process.env;
  process.env['NOTIFY_SOCKET'] = inbox.address;
  try {
    for (const serves of [false, true])
      for (const value of ['1', 'trigger']) passOn(new Map([['WATCHDOG', value]]), serves);
    for (const name of ['MAINPID', 'STOPPING', 'FDSTORE', 'RELOADING']) passOn(new Map([[name, '1']]), true);
    passOn(new Map([['STATUS', 'last']]), true);
    while (!heard.includes('STATUS=last')) await sleep(5);
  } finally {
    process.env['NOTIFY_SOCKET'] = before ?? '';
    inbox.close();
  }
  assert.deepEqual(heard, ['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=trigger', 'STATUS=last']);
});

/** Connections that say nothing, or `text`; those that are still open after a while. */
async function open(path: string, count: number, text = ''): Promise<Set<Socket>> {
  const all = new Set<Socket>();
  for (let i = 0; i < count; i++) {
    const socket = connect(path);
    all.add(socket);
    socket.on('error', () => {}).once('close', () => all.delete(socket));
    if (text !== '') socket.write(text);
  }
  await sleep(500);
  return all;
}

test('16 terminals may ask at once, and one that says nothing is cut off after ten seconds', async () => {
  await using held = await start({ command: server });
  await held.heard('ready');
  const { channels } = os();
  const path = channels.list(`hold-${process.pid}-`, process.geteuid?.() ?? 0)[0] ?? '';
  const silent = await open(path, 20);
  assert.equal(silent.size, 16);
  const startMs = performance.now();
  await Promise.all([...silent].map((socket) => once(socket, 'close')));
  assert(performance.now() - startMs < 12_000);
  const [one] = await open(path, 1, '{"kind":"status"}\n');
  const answer = Buffer.concat((await one?.toArray()) ?? []).toString();
  assert.match(answer, /"heard":true.*\n.*"current":/);
});

test('8 visitors may stand in the take-over door, and one that drips is cut off after two seconds', async () => {
  const old = createServer();
  await listen(old, { port: 0, host: '127.0.0.1', busy: 'take-over' });
  const { channels } = os();
  const path = channels.list(`door-${process.pid}-`, process.geteuid?.() ?? 0)[0] ?? '';
  const visitors = await open(path, 20);
  assert.equal(visitors.size, 8);
  const startMs = performance.now();
  await Promise.all([...visitors].map((socket) => once(socket, 'close')));
  assert(performance.now() - startMs < 4_000);
  assert.equal((await open(path, 1)).size, 1);
  await close(old);
});

test('a name that another user took in a shared folder is not used, and what is made instead is found', {
  skip,
}, async () => {
  // Of nobody else, whose directories would be found, too.
  const other = 40_000 + (process.pid % 20_000);
  for (const squat of ['directory', 'link'] as const) {
    const folder = '/tmp';
    const usual = join(folder, `rebind-${other}`);
    if (squat === 'directory') mkdirSync(usual, { mode: 0o777 });
    else symlinkSync('/etc', usual);
    spawnSync('chown', ['-h', String(nobody), usual]);
    const code = `
      const { os } = await import('${pathToFileURL(fileURLToPath(new URL('../../src/os/index.js', import.meta.url)))}');
      const { rmSync } = await import('node:fs');
      const { channels } = os();
      process.setgid(${other}); process.setuid(${other});
      const first = channels.place();
      const listener = await channels.listen('hold-x', { admit: () => true, onChannel: ({ socket }) => socket.destroy() });
      console.log(JSON.stringify({ first, listed: channels.list('hold-', ${other}) }));
      process.stdin.once('data', () => {
        console.log(JSON.stringify({ listed: channels.list('hold-', ${other}) }));
        listener.close();
        process.exit();
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, TMPDIR: folder, XDG_RUNTIME_DIR: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = child.stdout.setEncoding('utf8');
    const { first, listed } = JSON.parse((await once(lines, 'data'))[0]);
    assert.deepEqual(first.notes, [`${usual} belongs to uid ${nobody}, so it is not used: remove it`]);
    assert.match(first.directory, new RegExp(`^${usual}-[0-9a-f]{12}$`));
    assert.equal(statSync(first.directory).mode & 0o7777, 0o700);
    assert.deepEqual(listed, [join(first.directory, 'hold-x')]);
    // The squatter goes: what was made meanwhile is still found.
    rmSync(usual, { recursive: true });
    child.stdin.end('on\n');
    assert.deepEqual(JSON.parse((await once(lines, 'data'))[0]).listed, listed);
    await once(child, 'exit');
    rmSync(first.directory, { recursive: true });
  }
});

test("another user who takes the name of the next generation's claim does not keep it from serving", {
  skip,
}, async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/\(pid \d+\) is ready/);
  const squatter = spawn(process.execPath, [program, 'squat', String(held.pid)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await once(squatter.stdout.setEncoding('utf8'), 'data');
  // Node 20 fills the name up, later ones do not: the squatter has both.
  assert.equal(line, 'squat 2\n');
  goesOn(port);
  squatter.stdin.end();
  await once(squatter, 'exit');
});

test('all of this in a user namespace that maps a second user', {
  skip: process.env['REBIND_MAPPED'] !== undefined ? 'it runs there now' : lackingNamespace,
}, async () => {
  // Root maps the users itself: it may have no range in /etc/subuid.
  const keeper = isRoot
    ? spawn('unshare', ['-U', '-m', 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
    : null;
  if (keeper !== null) {
    await once(keeper.stdout, 'data');
    for (const kind of ['uid', 'gid']) writeFileSync(`/proc/${keeper.pid}/${kind}_map`, '0 0 65536');
  }
  const cwd = process.cwd();
  const enter =
    keeper === null
      ? ['unshare', ...mapped]
      : ['nsenter', '-t', String(keeper.pid), '-U', '-m', '-S', '0', '-G', '0', `--wdns=${cwd}`];
  const inside = 'mount -t tmpfs none /run && chmod 755 /run && exec "$@"';
  const [file = '', ...words] = [...enter, 'sh', '-c', inside, 'sh', process.execPath, '--test'];
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const result = spawnSync(file, [...words, fileURLToPath(import.meta.url)], {
    encoding: 'utf8',
    env: { ...environment, REBIND_MAPPED: '1' },
  });
  keeper?.stdin.end();
  assert.equal(result.status, 0, result.stdout + result.stderr);
  // Not one that was skipped for want of rights.
  assert.match(result.stdout, /skipped [0-2]$/m);
  assert.doesNotMatch(result.stdout, /needs root/);
});

test('a service goes on while another user floods what it can reach', { skip }, async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/\(pid \d+\) is ready/);
  const floods = Array.from({ length: 20 }, () => attack('names', String(held.pid)));
  goesOn(port);
  assert.match(await get(port), /^2 /);
  await Promise.all(floods);
});
