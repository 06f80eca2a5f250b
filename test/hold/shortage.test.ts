/**
 * What the system refuses while a new process is started is `refused`: the old one serves on, and a later restart is tried as any other.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from './command.ts';
import { fixture, freePort, get, start } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-shortage-'));
after(() => rmSync(directory, { recursive: true }));
const server = [process.execPath, fixture('server.cjs')];

test('the working directory is gone: refused with its name, and started again when it is back', async () => {
  const cwd = join(directory, 'release');
  mkdirSync(cwd);
  await using hold = await start({ command: server, cwd });
  await hold.heard('ready');
  rmSync(cwd, { recursive: true });
  const refused = await hold.held.restart();
  assert.equal(refused.outcome, 'refused');
  assert.equal(refused.why, `Generation 2 could not be started: its working directory ${cwd} does not exist any more`);
  assert.match(await get(hold.port), /^1 /);
  mkdirSync(cwd);
  assert.equal((await hold.held.restart()).outcome, 'done');
});

test('a command that crashes while it cannot be started again is tried until it can, however long that takes', async () => {
  const cwd = join(directory, 'crashing');
  mkdirSync(cwd);
  await using hold = await start({ command: server, cwd, mostFailures: 1 });
  const { pid } = await hold.heard('ready');
  rmSync(cwd, { recursive: true });
  process.kill(pid, 'SIGKILL');
  await hold.heard('refused', 3);
  const waiting = get(hold.port);
  mkdirSync(cwd);
  assert.match(await waiting, /^\d+ /);
});

test('no descriptor is left: refused, and the old one serves on', {
  skip: spawnSync('prlimit', ['--version']).status !== 0 && 'needs prlimit',
}, async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/is ready/);
  const limit = (soft: number): void => {
    assert.equal(spawnSync('prlimit', ['--pid', String(held.pid), `--nofile=${soft}:`]).status, 0);
  };
  const openNow = (): number => readdirSync(`/proc/${held.pid}/fd`).length;
  const open = openNow();
  // A start takes a socket, a pipe, and in libuv another pipe: each may be the one that there is no descriptor for.
  for (let spare = 0; spare <= 8; spare++) {
    limit(open + spare);
    held.child.kill('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.match(await get(port), /^\d+ /);
  }
  await held.printed(
    /could not be started: hold has as many files open as it may \(ulimit -n\) \(EMFILE\); generation \d+ keeps serving/,
  );
  limit(1_024);
  held.child.kill('SIGHUP');
  await held.printed(/Generation (9|1\d) .* is ready/);
  for (let looks = 0; openNow() !== open && looks < 400; looks++)
    await new Promise((resolve) => setTimeout(resolve, 25));
  assert.equal(openNow(), open, 'what could not be started leaves no descriptor open');
  assert.doesNotMatch(held.stderr(), /fault of rebind|bug in rebind/);
});

test('no process may be started: refused, and the old one serves on', {
  skip:
    (process.getuid?.() === 0 && 'no limit of processes holds for root (RLIMIT_NPROC): it runs as an ordinary user') ||
    (spawnSync('prlimit', ['--version']).status !== 0 && 'needs prlimit'),
}, async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/is ready/);
  const limit = (soft: string): void => {
    assert.equal(spawnSync('prlimit', ['--pid', String(held.pid), `--nproc=${soft}:`]).status, 0);
  };
  const [, before = ''] = /Max processes +(\S+)/.exec(readFileSync(`/proc/${held.pid}/limits`, 'utf8')) ?? [];
  limit('1');
  held.child.kill('SIGHUP');
  await held.printed(
    /Generation 2 could not be started: there are as many processes as there may be \(.*\) \(EAGAIN\); generation 1 keeps serving/,
  );
  assert.match(await get(port), /^1 /);
  limit(before);
  held.child.kill('SIGHUP');
  await held.printed(/Generation 3 .* is ready/);
});

test('a program that connects while no descriptor is left keeps none open afterwards', {
  skip: spawnSync('prlimit', ['--version']).status !== 0 && 'needs prlimit',
}, async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', ...server], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/is ready/);
  const limit = (soft: number): void => {
    assert.equal(spawnSync('prlimit', ['--pid', String(held.pid), `--nofile=${soft}:`]).status, 0);
  };
  const openNow = (): number => readdirSync(`/proc/${held.pid}/fd`).length;
  const open = openNow();
  // Accepting takes the last descriptor, so that the peer cannot be looked at.
  limit(open + 1);
  const peers = Array.from({ length: 8 }, () => connect(controlOf(held.pid)).on('error', () => {}));
  await Promise.all(peers.map((peer) => once(peer, 'connect')));
  // A turn of hold's, in which it takes what it can.
  await held.printed(/is ready/);
  await new Promise((resolve) => setTimeout(resolve, 200));
  limit(1_024);
  for (const peer of peers) peer.destroy();
  for (let looks = 0; openNow() > open && looks < 200; looks++) await new Promise((resolve) => setTimeout(resolve, 25));
  assert.equal(openNow(), open);
});

/** Where the programs of a hold connect to: the one socket in its directory that it listens on. */
function controlOf(pid: number): string {
  const inode = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    } catch {
      return undefined;
    }
  });
  const rows = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/));
  const path = rows.find(([, , , , , , row, name]) => inode.includes(row) && name?.includes('/hold-'))?.[7];
  assert(path !== undefined, 'hold listens nowhere');
  return path;
}

test('hold that is stopped for a while and goes on has lost nothing', async () => {
  await using hold = await start({ command: server });
  await hold.heard('ready');
  // The clock of waits stands still for no process; what comes due meanwhile comes at once.
  hold.held.signal('SIGSTOP');
  const waiting = get(hold.port);
  hold.held.signal('SIGCONT');
  assert.match(await waiting, /^1 /);
  assert.equal((await hold.held.restart()).outcome, 'done');
});

test('wrong options are refused by name, before anything is opened', async () => {
  for (const [options, message] of [
    [{ overlap: 'no' }, /^overlap is true or false, not 'no'$/],
    [{ mostFailures: 1.5 }, /^mostFailures is a whole number from 0, not 1\.5$/],
    [{ backlog: 1.5 }, /^A backlog is a whole number, not 1\.5$/],
    [{ graceMs: '5s' }, /^graceMs is a number of milliseconds/],
    [{ watch: 'src' }, /^watch must be an array of strings/],
    [{ descriptors: [-1] }, /^descriptors is a whole number from 0, not -1$/],
  ] as const)
    await assert.rejects(start({ command: server, ...(options as object) }), ({ message: said }: Error) => {
      assert.match(said, message);
      return true;
    });
});
