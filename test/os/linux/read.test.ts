import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fchownSync, mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BindOptions, Request } from '../../../src/model/endpoint.ts';
import type { Facts, InetSocket, Settings } from '../../../src/model/facts.ts';
import { NativeError } from '../../../src/os/errors.ts';
import { findUnlisted } from '../../../src/os/linux/calls/bound-only.ts';
import { libc } from '../../../src/os/linux/calls/libc.ts';
import { linux } from '../../../src/os/linux/index.ts';
import { NETLINK_SOCK_DIAG, openNetlink } from '../../../src/os/linux/netlink/netlink-socket.ts';
import { readSockets, stateBits } from '../../../src/os/linux/netlink/sock-diag.ts';
import { cgroup2Mount, cgroupIds } from '../../../src/os/linux/proc/cgroup.ts';
import { openProc } from '../../../src/os/linux/proc/proc.ts';
import { createReader } from '../../../src/os/linux/read.ts';
import { findProgram, missing } from '../../../src/stage/needs.ts';

const { sockets } = linux;
const plain: BindOptions = { reuseAddress: true, reusePort: false, v6Only: false, device: null };

const ask = (address: string, port: number, options: Partial<BindOptions> = {}): Request => ({
  endpoint: { protocol: 'tcp', address, port },
  options: { ...plain, ...options },
});
const askUnix = (path: string): Request => ({ endpoint: { protocol: 'unix', path }, options: plain });

/** A bound descriptor that is closed at the end of the scope. */
function bound(kind: 'tcp' | 'udp', address: string, port: number, options: Partial<BindOptions> = {}) {
  const family = address.includes(':') ? 6 : 4;
  const fd = sockets.open(kind, family);
  sockets.setBindOptions(fd, family, { ...plain, reuseAddress: false, ...options });
  sockets.bind(fd, { protocol: kind, address, port });
  const at = sockets.address(fd);
  assert.notEqual(at.protocol, 'unix');
  const identity = sockets.identity(fd);
  return {
    fd,
    port: at.protocol === 'unix' ? 0 : at.port,
    inode: identity?.inode ?? 0,
    [Symbol.dispose]: () => sockets.close(fd),
  };
}

async function listening(host: string, port = 0): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  const at = server.address();
  assert.ok(at !== null && typeof at === 'object');
  const accepted = new Set<Socket>();
  server.on('connection', (socket) => accepted.add(socket));
  return {
    server,
    port: at.port,
    [Symbol.asyncDispose]: async () => {
      // A test that failed has not ended its connections, and a server closes after the last of them.
      for (const socket of accepted) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function connected(server: Server, port: number, host: string): Promise<{ client: Socket; accepted: Socket }> {
  const client = connect(port, host);
  const [[accepted]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [[Socket], []];
  return { client, accepted };
}

function inet(facts: Facts): readonly InetSocket[] {
  return facts.sockets.filter((socket): socket is InetSocket => socket.protocol !== 'unix');
}

/** Ends a child that the test made. */
function ending(child: ChildProcess): Disposable & { readonly child: ChildProcess; readonly pid: number } {
  return { child, pid: child.pid ?? 0, [Symbol.dispose]: () => child.kill('SIGKILL') };
}

test('a listener and its client: states, holder, direction, options', async () => {
  await using here = await listening('::');
  assert.notEqual(linux.readFacts(ask('::', here.port)).holders.values().next().value?.[0]?.accepts, false);
  const { client, accepted } = await connected(here.server, here.port, '127.0.0.1');
  const facts = linux.readFacts(ask('::', here.port));
  client.destroy();
  accepted.destroy();

  assert.deepEqual(facts.gaps, []);
  assert.equal(facts.platform, 'linux');
  const [listener, child] = [...inet(facts)].sort((a, b) => b.state.localeCompare(a.state));
  assert.equal(listener?.state, 'LISTEN');
  assert.equal(listener?.local.address, '::');
  assert.equal(listener?.remote, null);
  assert.deepEqual(listener?.queue, { waiting: 0, limit: 511 });
  assert.equal(listener?.uid, process.getuid?.());
  assert.equal(listener?.reuseAddress, true);
  assert.equal(listener?.reusePort, false);
  assert.equal(listener?.v6Only, false);
  assert.equal(child?.state, 'ESTABLISHED');
  assert.equal(child?.local.address, '::ffff:127.0.0.1');
  assert.equal(child?.direction, 'incoming');
  assert.equal(child?.reuseAddress, true);

  const [holder] = facts.holders.get(listener?.inode ?? 0) ?? [];
  assert.equal(holder?.pid, process.pid);
  assert.equal(holder?.accepts, true);
  assert.equal(holder?.cwd, process.cwd());
  assert.ok(
    holder?.argv.some((arg) => arg.endsWith('read.test.js')),
    holder?.argv.join(' '),
  );
  assert.equal(holder?.parents[0]?.pid, process.ppid);
  const age = Date.now() - (holder?.startedAtMs ?? 0);
  assert.ok(Math.abs(age - process.uptime() * 1000) < 2_000, `started ${age} ms ago`);
  assert.equal(facts.users.get(listener?.uid ?? -1), holder?.user);
  assert.equal(facts.asker.pid, process.pid);
  assert.equal(facts.asker.ancestors[0], process.ppid);
  assert.deepEqual(linux.readProcess({ pid: process.pid, started: holder?.started ?? '' })?.argv, holder?.argv);
  assert.equal(linux.readProcess({ pid: process.pid, started: '1' }), null);
});

test('a client’s own port: outgoing, chosen by the kernel, or bound before', async () => {
  await using here = await listening('127.0.0.1');
  const { client, accepted } = await connected(here.server, here.port, '127.0.0.1');
  // Other connections of this machine may have the same number on another address, or to another peer.
  const own = inet(linux.readFacts(ask('127.0.0.1', client.localPort ?? 0))).find(
    ({ local, remote }) => local.address === '127.0.0.1' && remote?.port === here.port,
  );
  assert.equal(own?.direction, 'outgoing');
  assert.equal(own?.autoPort, true);
  client.destroy();
  accepted.destroy();

  using chosen = bound('tcp', '127.0.0.1', 0);
  const chosenRow = inet(linux.readFacts(ask('127.0.0.1', chosen.port))).find(({ inode }) => inode === chosen.inode);
  assert.equal(chosenRow?.autoPort, true);
  const { port } = chosen;
  sockets.close(sockets.duplicate(chosen.fd));
  using explicit = bound('tcp', '127.0.0.2', port);
  const row = inet(linux.readFacts(ask('127.0.0.2', port))).find(({ inode }) => inode === explicit.inode);
  assert.equal(row?.autoPort, false);
});

test('a bound socket that does not listen is seen, with the options that no table shows', () => {
  using only = bound('tcp', '::', 0, { reusePort: true, v6Only: true });
  const [row, ...others] = inet(linux.readFacts(ask('::', only.port)));
  assert.deepEqual(others, []);
  assert.equal(row?.state, 'BOUND');
  assert.equal(row?.inode, only.inode);
  assert.equal(row?.reuseAddress, false);
  assert.equal(row?.reusePort, true);
  assert.equal(row?.v6Only, true);
});

test('a listener of Multipath TCP is told as such, with its options', (t) => {
  const IPPROTO_MPTCP = 262;
  const fd = libc().socket(2, 1, IPPROTO_MPTCP);
  if (fd < 0) return t.skip('this kernel has no Multipath TCP');
  try {
    sockets.setBindOptions(fd, 4, { ...plain, reusePort: true });
    sockets.bind(fd, { protocol: 'tcp', address: '127.0.0.1', port: 0 });
    sockets.listen(fd, 5);
    const at = sockets.address(fd);
    const [row] = inet(linux.readFacts(ask('127.0.0.1', at.protocol === 'unix' ? 0 : at.port)));
    assert.equal(row?.linux?.mptcp, true);
    assert.equal(row?.inode, sockets.identity(fd)?.inode);
    assert.equal(row?.reuseAddress, true);
    assert.equal(row?.reusePort, true);
  } finally {
    sockets.close(fd);
  }
});

/** What an older kernel tells: every socket but the bound ones. */
function listedWithoutBound(): Set<number> {
  const kernel = openNetlink(NETLINK_SOCK_DIAG);
  const listed = new Set<number>();
  for (const protocol of ['tcp', 'udp'] as const) {
    const states = stateBits.all & ~stateBits.BOUND_INACTIVE & (protocol === 'tcp' ? ~stateBits.CLOSE : -1);
    for (const { inode } of readSockets(kernel, { protocol, states, port: null }).rows) listed.add(inode);
  }
  kernel.close();
  return listed;
}

const unlisted = (listed: ReadonlySet<number>, port: number | null) =>
  findUnlisted(openProc('/proc'), listed, port, linux.processes).rows;

test('on a kernel that does not show it, a bound socket is found among what processes have open', () => {
  using only = bound('tcp', '::1', 0, { device: 'lo', reusePort: true });
  const listed = listedWithoutBound();
  assert.ok(!listed.has(only.inode));
  const [row, ...more] = unlisted(listed, only.port);
  assert.deepEqual(more, []);
  const [known] = inet(linux.readFacts(ask('::1', only.port)));
  // What the kernel tells about a bound socket where it does, but who chose the port and the cgroup.
  const { deviceIndex, ...found } = row ?? assert.fail('nothing was found');
  assert.deepEqual(
    { ...found, device: 'lo' },
    {
      ...known,
      autoPort: null,
      linux: { ...(known?.linux ?? assert.fail()), cgroupId: null },
    },
  );
  assert.equal(deviceIndex, 1);
  assert.ok(unlisted(listed, null).some(({ inode }) => inode === only.inode));
});

test('a bound socket that no table shows belongs to who made it, not to who runs the process now', {
  skip: missing(['root']) ?? false,
}, () => {
  using only = bound('tcp', '127.0.0.1', 0);
  fchownSync(only.fd, 12_345, 0);
  assert.equal(unlisted(listedWithoutBound(), only.port)[0]?.uid, 12_345);
});

test('a connection that was made after the tables were read is no bound socket', async () => {
  await using here = await listening('127.0.0.1');
  const listed = listedWithoutBound();
  const { client, accepted } = await connected(here.server, here.port, '127.0.0.1');
  assert.deepEqual(unlisted(listed, here.port), []);
  client.destroy();
  accepted.destroy();
});

test('a bound socket of another network namespace is not one of ours', {
  skip: spawnSync('unshare', ['-rn', 'true']).status !== 0 && 'unshare cannot make namespaces here',
}, async () => {
  using only = bound('tcp', '0.0.0.0', 0);
  const os = new URL('../../../src/os/linux/index.js', import.meta.url).href;
  const program = `
    const { linux: { sockets } } = await import(${JSON.stringify(os)});
    const fd = sockets.open('tcp', 4);
    sockets.bind(fd, { protocol: 'tcp', address: '0.0.0.0', port: ${only.port} });
    console.log(sockets.identity(fd).inode);
    setInterval(() => {}, 1e9);`;
  using there = ending(
    spawn('unshare', ['-rn', process.execPath, '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const [line] = (await once(there.child.stdout ?? assert.fail(), 'data')) as [Buffer];
  const listed = listedWithoutBound();
  assert.ok(!listed.has(Number(line)));
  assert.deepEqual(
    unlisted(listed, only.port).map(({ inode }) => inode),
    [only.inode],
  );
});

test('what a closed connection leaves: no owner, and the time that is left', async () => {
  await using here = await listening('127.0.0.1');
  const { client, accepted } = await connected(here.server, here.port, '127.0.0.1');
  const closed = Promise.all([once(client, 'close'), once(accepted, 'close')]);
  client.resume();
  accepted.resume().end();
  await closed;
  const mini = inet(linux.readFacts(ask('127.0.0.1', here.port))).find((socket) => socket.linux?.mini);
  assert.equal(mini?.state, 'TIME_WAIT');
  assert.equal(mini?.inode, 0);
  assert.equal(mini?.reuseAddress, null);
  const left = mini?.expiresInMs ?? 0;
  assert.ok(left > 50_000 && left <= 60_000, `${left} ms are left`);
});

test('UDP of the same number is told, with its options and holder', () => {
  using udp = bound('udp', '127.0.0.1', 0, { reuseAddress: true });
  const facts = linux.readFacts({
    endpoint: { protocol: 'udp', address: '127.0.0.1', port: udp.port },
    options: plain,
  });
  const row = inet(facts).find(({ inode }) => inode === udp.inode);
  assert.equal(row?.protocol, 'udp');
  assert.equal(row?.state, 'BOUND');
  assert.equal(row?.reuseAddress, true);
  assert.equal(facts.holders.get(udp.inode)?.[0]?.pid, process.pid);
});

test('a child that inherited the listener is a holder that does not accept', async () => {
  await using here = await listening('127.0.0.1');
  const fd = (here.server as unknown as { _handle: { fd: number } })._handle.fd;
  using heir = ending(spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', fd] }));
  await once(heir.child, 'spawn');
  // libuv begins to watch a new listener when the event loop polls next, and an immediate runs after that.
  await new Promise(setImmediate);
  const facts = linux.readFacts(ask('127.0.0.1', here.port));
  const [listener] = inet(facts);
  const told = (facts.holders.get(listener?.inode ?? 0) ?? []).map((holder) => ({
    pid: holder.pid,
    command: holder.command,
    descriptors: holder.descriptors,
    accepts: holder.accepts,
  }));
  told.sort((a, b) => Number(b.accepts) - Number(a.accepts));
  assert.deepEqual(told, [
    { pid: process.pid, command: 'node', descriptors: [fd], accepts: true },
    { pid: heir.pid, command: 'sleep', descriptors: [3], accepts: false },
  ]);
});

test('a Unix socket by its path, by another name of its directory, and by a relative name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-unix-'));
  const path = join(folder, 'app.sock');
  const link = `${folder}-link`;
  symlinkSync(folder, link);
  const before = process.cwd();
  process.chdir(folder);
  const server = createServer();
  server.listen('app.sock');
  await once(server, 'listening');
  process.chdir(before);
  try {
    for (const name of [path, join(link, 'app.sock')]) {
      const facts = linux.readFacts(askUnix(name));
      assert.deepEqual(facts.gaps, []);
      const [socket, ...others] = facts.sockets;
      assert.deepEqual(others, []);
      assert.equal(socket?.state, 'LISTEN');
      assert.equal(socket?.uid, process.getuid?.());
      assert.equal(facts.holders.get(socket?.inode ?? 0)?.[0]?.pid, process.pid);
      assert.equal(facts.unixFile?.kind, 'socket');
      assert.equal(facts.unixFile?.creatable, true);
    }
    // The file is replaced: the server still carries the name, and has nothing to do with what stands there.
    renameSync(path, `${path}.old`);
    assert.deepEqual(linux.readFacts(askUnix(path)).sockets, []);
    assert.equal(linux.readFacts(askUnix(`${path}.old`)).sockets.length, 1);
    writeFileSync(path, '');
    const replaced = linux.readFacts(askUnix(path));
    assert.deepEqual(replaced.sockets, []);
    assert.equal(replaced.unixFile?.kind, 'other');
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
    rmSync(link);
  }
});

test('an abstract Unix name has no file', async () => {
  const fd = sockets.open('unix', 4);
  const path = `\0rebind-test-${process.pid}`;
  sockets.bind(fd, { protocol: 'unix', path });
  try {
    const facts = linux.readFacts(askUnix(path));
    assert.equal(facts.unixFile, null);
    assert.equal(facts.sockets[0]?.state, 'BOUND');
    assert.equal(facts.holders.get(facts.sockets[0]?.inode ?? 0)?.[0]?.pid, process.pid);
  } finally {
    sockets.close(fd);
  }
});

test('where a Unix socket cannot be made, the reason is told', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-unix-'));
  try {
    const why = (path: string): string | null | undefined => linux.readFacts(askUnix(path)).unixFile?.errno;
    assert.equal(why(join(folder, 'a.sock')), null);
    assert.equal(why(join(folder, 'none/a.sock')), 'ENOENT');
    writeFileSync(join(folder, 'file'), '');
    assert.equal(why(join(folder, 'file/a.sock')), 'ENOTDIR');
    const long = join(folder, `${'x'.repeat(120)}.sock`);
    // Node 24 and later refuse it, older ones cut it off.
    const refuses = Number.parseInt(process.versions.node, 10) >= 24;
    assert.equal(why(long), refuses ? 'EINVAL' : null);
    assert.equal(linux.readFacts(askUnix(long)).unixFile?.cutTo, refuses ? null : long.slice(0, 107));
    assert.equal(why('/sys/app.sock'), process.getuid?.() === 0 ? 'EPERM' : 'EACCES');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('without netlink, /proc/net stands in and the gap says what it cannot show', async () => {
  await using here = await listening('127.0.0.1');
  const refused = createReader({
    openDiag: () => {
      throw new NativeError('socket', 13);
    },
  });
  const facts = refused.readFacts(ask('127.0.0.1', here.port));
  const [row] = inet(facts);
  assert.equal(row?.state, 'LISTEN');
  assert.equal(row?.linux?.cookie, null);
  assert.equal(row?.autoPort, null);
  assert.equal(facts.holders.get(row?.inode ?? 0)?.[0]?.pid, process.pid);
  assert.deepEqual(
    facts.gaps.map(({ why }) => why),
    ['EACCES', 'EACCES'],
  );
  assert.match(facts.gaps[0]?.what ?? '', /bound and do not listen/);
});

test('without koffi, everything that /proc tells is still told', async () => {
  await using here = await listening('127.0.0.1');
  const folder = mkdtempSync(join(tmpdir(), 'rebind-no-koffi-'));
  const preload = join(folder, 'no-koffi.cjs');
  writeFileSync(
    preload,
    `const Module = require('node:module'); const load = Module._load;
     process.dlopen = () => { throw new Error('no binary'); };
     Module._load = function (name, ...rest) { if (name === 'koffi') throw new Error('no binary'); return load.call(this, name, ...rest); };`,
  );
  try {
    const facts = printed(process.execPath, ['--require', preload, script, '127.0.0.1', String(here.port)]) as Facts;
    assert.equal(facts.sockets[0]?.state, 'LISTEN');
    assert.equal(facts.sockets[0]?.inode, linux.readFacts(ask('127.0.0.1', here.port)).sockets[0]?.inode);
    const [[, [holder]]] = facts.holders as unknown as [[number, [{ pid: number }]]];
    assert.equal(holder.pid, process.pid);
    assert.ok(facts.gaps.some(({ why, hint }) => why === 'ERR_REBIND_UNSUPPORTED' && hint.includes('koffi')));
    assert.ok(facts.settings.localAddresses.some(({ address }) => address === '127.0.0.1'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const script = fileURLToPath(new URL('print-facts.js', import.meta.url));

function printed(command: string, args: readonly string[]): Facts | Settings {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Facts | Settings;
}

test('another user’s holder: the socket is seen, its process is a gap that says whom to be', async (t) => {
  const lacking = missing(['second-user']);
  if (lacking !== null || findProgram('setpriv') === null) return t.skip(lacking ?? 'setpriv is not installed');
  await using here = await listening('127.0.0.1');
  const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath];
  const facts = printed('setpriv', [...nobody, script, '127.0.0.1', String(here.port)]) as Facts;
  assert.equal(facts.sockets.length, 1);
  assert.equal((facts.sockets[0] as InetSocket).reuseAddress, null);
  assert.deepEqual(facts.holders, []);
  assert.deepEqual(facts.gaps, [
    {
      what: `Which process of user root has tcp 127.0.0.1:${here.port} open cannot be seen`,
      why: 'EACCES',
      hint: 'Run it as root',
    },
  ]);
  // Nobody stands in the way of what nobody holds.
  const free = printed('setpriv', [...nobody, script, '127.0.0.3', '1']) as Facts;
  assert.deepEqual(free.gaps, []);
  assert.equal(free.settings.mayBindPrivileged, false);
});

test('with hidepid, processes that are not even listed are a gap', async (t) => {
  const lacking = missing(['second-user']);
  if (lacking !== null || findProgram('setpriv') === null) return t.skip(lacking ?? 'setpriv is not installed');
  await using here = await listening('127.0.0.1');
  const inside = `mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`;
  const args = ['-m', 'sh', '-c', inside, 'sh', process.execPath, script, '127.0.0.1', String(here.port)];
  const facts = printed('unshare', args) as Facts;
  assert.equal(facts.sockets.length, 1);
  assert.equal(facts.gaps.length, 1);
  assert.match(facts.gaps[0]?.hint ?? '', /hides the processes of other users/);
});

test('a /proc of another pid namespace names nobody', async (t) => {
  const tried = spawnSync('unshare', ['-Urpf', 'true'], { timeout: 60_000 });
  if (tried.status !== 0) return t.skip('this machine does not let an ordinary user make namespaces');
  await using here = await listening('127.0.0.1');
  const args = ['-Urpf', process.execPath, script, '127.0.0.1', String(here.port)];
  const facts = printed('unshare', args) as Facts;
  assert.equal(facts.sockets.length, 1);
  assert.deepEqual(facts.holders, []);
  assert.equal(facts.unseen.processes, true);
  assert.match(facts.gaps[0]?.what ?? '', /does not show this process by its own number/);
});

test('capabilities of a user namespace do not count for a network that it does not own', (t) => {
  const tried = spawnSync('unshare', ['-Ur', 'true'], { timeout: 60_000 });
  if (tried.status !== 0) return t.skip('this machine does not let an ordinary user make namespaces');
  const of = (...flags: string[]): Settings =>
    printed('unshare', [...flags, process.execPath, script, '127.0.0.1', '1', 'settings']) as Settings;
  const borrowed = of('-Ur');
  assert.equal(borrowed.mayBindPrivileged, false);
  assert.equal(borrowed.mayAdministerNetwork, false);
  const owned = of('-Urn');
  assert.equal(owned.mayBindPrivileged, true);
  assert.equal(owned.mayAdministerNetwork, true);
  // An interface that is down has its address all the same, once it has one; `lo` has none before it is raised.
  assert.deepEqual(owned.localAddresses, []);
});

test('settings: every address that Node knows, and the range of automatic ports', () => {
  const settings = linux.readSettings();
  const known = new Set(settings.localAddresses.map(({ address, device }) => `${device} ${address.split('%')[0]}`));
  for (const [device, addresses] of Object.entries(networkInterfaces()))
    for (const { address } of addresses ?? []) assert.ok(known.has(`${device} ${address}`), `${device} ${address}`);
  const [first, last] = settings.automaticPorts ?? [0, 0];
  assert.ok(first > 0 && last > first && last < 65_536);
  assert.equal(typeof settings.firstUnprivilegedPort, 'number');
});

test('a probe tells what bind says, and leaves nothing', async () => {
  await using here = await listening('127.0.0.1');
  assert.deepEqual(linux.probe(ask('127.0.0.1', here.port)), { errno: 'EADDRINUSE', port: here.port });
  assert.deepEqual(linux.probe(ask('192.0.2.77', here.port)), { errno: 'EADDRNOTAVAIL', port: here.port });
  const free = linux.probe(ask('127.0.0.1', 0));
  assert.equal(free?.errno, null);
  const port = free?.port ?? 0;
  assert.ok(port > 0);
  assert.deepEqual(linux.probe(ask('127.0.0.1', port)), { errno: null, port });
  assert.deepEqual(linux.readFacts(ask('127.0.0.1', port)).sockets, []);
  assert.equal(linux.probe(ask('127.0.0.1', port, { device: 'no-such-device' }))?.errno, 'ENODEV');
  assert.equal(linux.probe(askUnix('/tmp/never-made.sock')), null);
});

test('a socket names the cgroup that its maker was in', async (t) => {
  const mount = cgroup2Mount(openProc('/proc'));
  if (mount === null) return t.skip('cgroup2 is not mounted here');
  const name = `/rebind-test-${process.pid}`;
  try {
    mkdirSync(`${mount}${name}`);
  } catch {
    return t.skip('this user may not make a cgroup');
  }
  const port = linux.probe(ask('127.0.0.1', 0))?.port ?? 0;
  // The shell enters the cgroup, and the server that it becomes makes its socket there.
  const serve = `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'))`;
  const enter = `echo $$ > ${mount}${name}/cgroup.procs && exec "$0" -e "$1"`;
  const child = spawn('sh', ['-c', enter, process.execPath, serve], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const [row] = inet(linux.readFacts(ask('127.0.0.1', port)));
    assert.equal(row?.linux?.cgroupId, cgroupIds(mount)(name));
    assert.equal(linux.readFacts(ask('127.0.0.1', port)).holders.get(row?.inode ?? 0)?.[0]?.pid, child.pid);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await removeGroup(`${mount}${name}`);
  }
});

/** The kernel takes a process out of its cgroup a moment after its end was reported. */
async function removeGroup(path: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return rmdirSync(path);
    } catch (error) {
      if (tries === 50) throw error;
      await setTimeout(20);
    }
  }
}

test('everything that ss shows is shown, and nothing else', async (t) => {
  const ss = findProgram('ss');
  if (ss === null) return t.skip('ss (of iproute2) is not installed');
  await using here = await listening('::');
  const { client, accepted } = await connected(here.server, here.port, '::1');
  using udp = bound('udp', '127.0.0.1', here.port);
  const facts = linux.readFacts(ask('::', here.port));
  const { stdout } = spawnSync(ss, ['-Hntuaie', 'sport', '=', `:${here.port}`], { encoding: 'utf8', timeout: 60_000 });
  client.destroy();
  accepted.destroy();
  const theirs = [...stdout.matchAll(/\bino:(\d+) sk:([0-9a-f]+)/g)].map(([, ino, sk]) => `${ino} ${sk}`).sort();
  const ours = inet(facts)
    .map(({ inode, linux: its }) => `${inode} ${BigInt(`0x${its?.cookie}`).toString(16)}`)
    .sort();
  assert.equal(ours.length, 3);
  assert.ok(facts.sockets.some(({ inode }) => inode === udp.inode));
  assert.deepEqual(ours, theirs);
});

test('the inventory lists who listens and who is bound, and who holds it', async () => {
  await using here = await listening('127.0.0.1');
  using only = bound('tcp', '127.0.0.1', 0);
  using udp = bound('udp', '127.0.0.1', 0);
  const { sockets: all, holders } = linux.readInventory();
  for (const port of [here.port, only.port, udp.port]) {
    const row = all.find(({ local }) => local.port === port && local.address === '127.0.0.1');
    assert.ok(row !== undefined, `port ${port} is listed`);
    assert.ok(holders.get(row.inode)?.some(({ pid }) => pid === process.pid));
  }
  assert.ok(all.every(({ state }) => state === 'LISTEN' || state === 'BOUND'));
});
