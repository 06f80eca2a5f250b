/**
 * Records what this kernel says, as a fixture: `node build/tools/record-kernel.js [FOLDER]`.
 *
 * It makes its own sockets and one child process, in a network and pid namespace of its own so that nothing of the machine is recorded,
 * and writes the netlink datagrams and a small /proc tree to `FOLDER/<kernel>-<arch>.json`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InetEndpoint } from '../src/model/endpoint.ts';
import { linux } from '../src/os/linux/index.ts';
import type { Conversation } from '../src/os/linux/netlink/netlink.ts';
import { NETLINK_SOCK_DIAG, openNetlink } from '../src/os/linux/netlink/netlink-socket.ts';
import { createReader } from '../src/os/linux/read.ts';
import { raiseLoopback } from '../src/stage/namespace.ts';
import type { RecordedFile, Recording } from '../test/os/linux/recording.ts';

const port = 3000;

async function main(): Promise<void> {
  const folder = process.argv[2] ?? 'test/fixtures';
  if (process.env['REBIND_RECORDING'] === undefined) {
    // -n: no address but those we make. -p with its own /proc: no process but ours.
    const inside = ['-Urpfn', '--mount-proc', process.execPath, fileURLToPath(import.meta.url), folder];
    // Pipes, because what the descriptors of the recorded process lead to is recorded.
    const env = { ...process.env, REBIND_RECORDING: '1' };
    const { status, stdout, stderr } = spawnSync('unshare', inside, { env });
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = status ?? 1;
    return;
  }
  raiseLoopback();
  const recording = await record();
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${recording.kernel.split('-')[0]}-${recording.arch}.json`);
  writeFileSync(path, `${JSON.stringify(recording, null, 1)}\n`);
  console.log(path);
}

/** One socket of each kind that matters, all on one port number. */
async function record(): Promise<Recording> {
  const { sockets } = linux;
  const bind = (kind: 'tcp' | 'udp', address: string, v6Only: boolean): number => {
    const fd = sockets.open(kind, address.includes(':') ? 6 : 4);
    const options = { reuseAddress: true, reusePort: false, v6Only, device: null };
    sockets.setBindOptions(fd, address.includes(':') ? 6 : 4, options);
    sockets.bind(fd, { protocol: kind, address, port } satisfies InetEndpoint);
    return fd;
  };
  const descriptors = [bind('tcp', '127.0.0.2', false), bind('udp', '::', true), bind('udp', '0.0.0.0', false)];
  const listener = createServer();
  listener.listen({ port, host: '::' });
  await once(listener, 'listening');
  const open: Socket[] = [];
  for (const host of ['127.0.0.1', '::1', '127.0.0.1']) {
    const client = connect(port, host);
    const [[accepted]] = (await Promise.all([once(listener, 'connection'), once(client, 'connect')])) as [[Socket], []];
    open.push(client, accepted);
  }
  // The server's side of the last one closes first, so it keeps a TIME_WAIT on the port.
  const [client, accepted] = open.splice(-2);
  const closed = [client, accepted].map((socket) => once(socket as Socket, 'close'));
  client?.resume();
  accepted?.resume().end();
  await Promise.all(closed);

  const path = join(tmpdir(), `rebind-record-${process.pid}.sock`);
  const unix = createServer();
  unix.listen(path);
  await once(unix, 'listening');

  // A child that inherited the bound socket and sleeps.
  const child = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', descriptors[0]] });
  await once(child, 'spawn');

  const conversations: Recording['conversations'] = {};
  const reader = createReader({ openDiag: () => listening(conversations) });
  const options = { reuseAddress: true, reusePort: false, v6Only: false, device: null };
  reader.readFacts({ endpoint: { protocol: 'tcp', address: '::', port }, options }, { holders: 'none' });
  reader.readInventory();
  reader.readFacts({ endpoint: { protocol: 'unix', path }, options }, { holders: 'none' });
  const tree = readTree([1, process.pid, child.pid ?? 0]);
  child.kill('SIGKILL');
  for (const fd of descriptors) sockets.close(fd);
  for (const socket of open) socket.destroy();
  listener.close();
  unix.close();
  return {
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    arch: process.arch,
    port,
    path,
    child: child.pid ?? 0,
    conversations,
    proc: tree,
  };
}

/** The kernel, overheard. */
function listening(conversations: Recording['conversations']): Conversation & { close(): void } {
  const kernel = openNetlink(NETLINK_SOCK_DIAG);
  let key = '';
  return {
    send(request) {
      // The sequence number, at 8 to 11, is another one each time.
      key = Buffer.concat([request.subarray(0, 8), Buffer.alloc(4), request.subarray(12)]).toString('hex');
      conversations[key] = [];
      kernel.send(request);
    },
    receive() {
      const datagram = kernel.receive();
      conversations[key]?.push(datagram.toString('hex'));
      return datagram;
    },
    close: () => kernel.close(),
  };
}

/** The files that are read of these processes, and of the network. */
function readTree(pids: readonly number[]): Record<string, RecordedFile> {
  const tree: Record<string, RecordedFile> = {};
  const file = (path: string): void => {
    tree[path] = withoutMachine(readFileSync(`/proc/${path}`, 'latin1'));
  };
  const link = (path: string): void => {
    tree[path] = { link: withoutMachine(readlinkSync(`/proc/${path}`)) };
  };
  for (const name of ['tcp', 'tcp6', 'udp', 'udp6', 'unix', 'if_inet6']) file(`net/${name}`);
  for (const name of [
    'ip_local_port_range',
    'ip_local_reserved_ports',
    'ip_unprivileged_port_start',
    'ip_nonlocal_bind',
  ])
    file(`sys/net/ipv4/${name}`);
  file('sys/kernel/osrelease');
  file('uptime');
  for (const pid of pids) {
    for (const name of ['stat', 'status', 'cmdline', 'cgroup']) file(`${pid}/${name}`);
    link(`${pid}/cwd`);
    for (const fd of readdirSync(`/proc/${pid}/fd`))
      if (statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false }) !== undefined) link(`${pid}/fd/${fd}`);
  }
  return tree;
}

/** Where this checkout lies, which node runs it and in which cgroup says nothing about the kernel. */
function withoutMachine(text: string): string {
  const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  return text
    .replaceAll(root, '/app')
    .replaceAll(process.execPath, '/usr/bin/node')
    .replace(/^[1-9]\d*:[a-z_,]*:.*\n/gm, '');
}

await main();
