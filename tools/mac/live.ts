/**
 * What only a running Mac can tell: its lists and structures, who gets a connection, signals by audit token, the ends of processes and of
 * TIME_WAIT.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeTcpOptions } from '../../src/model/endpoint.ts';
import type { InetSocket } from '../../src/model/facts.ts';
import { thisMac } from '../../src/os/darwin/mac.ts';
import { processVersion } from '../../src/os/darwin/process-info.ts';
import { auditToken } from '../../src/os/darwin/processes.ts';
import type { Os } from '../../src/os/os.ts';
import { type Check, look } from './check.ts';

/** Listeners in the order of bind, and which of them a client of each address reaches; -1 is nobody (scenarios of darwin-bind-sample.json). */
const deliveries: readonly (readonly [listeners: readonly string[], toV4: number, toV6: number])[] = [
  [['0.0.0.0', '127.0.0.1'], 1, -1],
  [['127.0.0.1', '0.0.0.0'], 0, -1],
  [['0.0.0.0', '::'], 0, 1],
  [['::', '127.0.0.1'], 1, 0],
  [['127.0.0.1', '::'], 0, 1],
  [['::', '::1'], 0, 1],
];

export async function live(os: Os): Promise<Check[]> {
  return [
    await look('every socket of this Mac is read through libSystem', 'no gap', () => {
      const { gaps } = os.readFacts({ endpoint: at(1), options: nodeTcpOptions });
      return gaps.length === 0 ? 'no gap' : gaps.map(({ what, why }) => `${what} (${why})`).join('; ');
    }),
    await look('a listener of this process, by its descriptor', `LISTEN of pid ${process.pid}, flags true false`, () =>
      withServer(async (port) => {
        const { sockets, holders } = os.readFacts({ endpoint: at(port), options: nodeTcpOptions });
        const [one] = sockets.filter((socket): socket is InetSocket => socket.protocol === 'tcp');
        const pids = (holders.get(one?.inode ?? 0) ?? []).map(({ pid }) => pid);
        return `${one?.state} of pid ${pids.join()}, flags ${one?.reuseAddress} ${one?.reusePort}`;
      }),
    ),
    await look('this process, described', `${process.pid} ${process.argv0} ${process.cwd()}`, () => {
      const identity = os.processes.identify(process.pid);
      const one = identity === null ? null : os.readProcess(identity);
      return `${one?.pid} ${one?.argv[0]} ${one?.cwd}`;
    }),
    ...(await Promise.all(deliveries.map((one) => delivery(os, one)))),
    ...(await signals(os)),
    await look('what is left of a connection ends within 30 s', 'TIME_WAIT, 25 to 30 s left', () => timeWait(os)),
    await look('Unix sockets are listed', 'some', () => {
      const { unixSockets } = os.readInventory();
      return unixSockets.length > 0 ? 'some' : 'none';
    }),
  ];
}

function at(port: number): { protocol: 'tcp'; address: string; port: number } {
  return { protocol: 'tcp', address: '127.0.0.1', port };
}

async function withServer(use: (port: number, server: net.Server) => Promise<string>): Promise<string> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use((server.address() as net.AddressInfo).port, server);
  } finally {
    server.close();
  }
}

async function delivery(os: Os, [listeners, toV4, toV6]: (typeof deliveries)[number]): Promise<Check> {
  return look(`who gets connections of ${listeners.join(', then ')}`, `${toV4} ${toV6}`, async () => {
    const open: number[] = [];
    try {
      let port = 0;
      for (const address of listeners) {
        const family = address.includes(':') ? 6 : 4;
        const fd = os.sockets.open('tcp', family);
        open.push(fd);
        os.sockets.setBindOptions(fd, family, nodeTcpOptions);
        os.sockets.bind(fd, { protocol: 'tcp', address, port });
        const bound = os.sockets.address(fd);
        port = bound.protocol === 'unix' ? 0 : bound.port;
        os.sockets.listen(fd, 5);
      }
      const winner = async (host: string): Promise<number> => {
        const client = net.connect({ port, host });
        const reached = await Promise.race([
          once(client, 'connect'),
          once(client, 'error').then(() => null),
          sleep(2_000, null),
        ]);
        const index = reached === null ? -1 : open.findIndex((fd) => accepts(os, fd));
        client.destroy();
        return index;
      };
      return `${await winner('127.0.0.1')} ${await winner('::1')}`;
    } finally {
      for (const fd of open) os.sockets.close(fd);
    }
  });
}

function accepts(os: Os, fd: number): boolean {
  const accepted = os.sockets.accept(fd);
  if (accepted === null) return false;
  os.sockets.close(accepted);
  return true;
}

async function signals(os: Os): Promise<Check[]> {
  const start = async () => {
    const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    return child;
  };
  // Where libSystem cannot be called every look says so.
  const byToken = os.lacks('identitySafeSignal') === null ? thisMac.lib().proc_signal_with_audittoken : null;
  return [
    await look('a process is asked to end, and its end is told', 'sent, exit, SIGTERM', async () => {
      const child = await start();
      const identity = os.processes.identify(child.pid ?? 0);
      using handle = identity === null ? null : os.processes.open(identity);
      if (handle === null) return 'not opened';
      const exited = once(child, 'exit');
      const sent = handle.signal('SIGTERM');
      const event = await os.events.wait({ processes: [handle], timeoutMs: 5_000 });
      const [, signal] = (await exited) as [number | null, string | null];
      return `${sent}, ${event.kind}, ${signal}`;
    }),
    await look(
      'a token of another version reaches nobody',
      byToken === null ? 'no such call (before 14.2)' : 'errno 3, alive',
      async () => {
        if (byToken === null) return 'no such call (before 14.2)';
        const child = await start();
        const pid = child.pid ?? 0;
        const version = processVersion(thisMac.lib(), thisMac.darwin, pid)?.version ?? 0;
        const errno = byToken(auditToken(pid, version + 1), 15);
        await sleep(100);
        const alive = child.exitCode === null && child.signalCode === null;
        child.kill('SIGKILL');
        return `errno ${errno}, ${alive ? 'alive' : 'ended'}`;
      },
    ),
  ];
}

function timeWait(os: Os): Promise<string> {
  return withServer(async (port, server) => {
    const client = net.connect(port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [net.Socket];
    // The side that closes first keeps it.
    accepted.end();
    client.on('end', () => client.end());
    await once(client.resume(), 'close');
    await sleep(100);
    const { sockets } = os.readFacts({ endpoint: at(port), options: nodeTcpOptions }, { holders: 'none' });
    const left = sockets.find(({ state }) => state === 'TIME_WAIT') as InetSocket | undefined;
    if (left === undefined) return `none of ${sockets.map(({ state }) => state).join()}`;
    const ms = left.expiresInMs;
    return ms !== null && ms > 25_000 && ms <= 30_000 ? 'TIME_WAIT, 25 to 30 s left' : `TIME_WAIT, ${ms} ms left`;
  });
}
