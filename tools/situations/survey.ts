import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { client, datagramBinds, idle, python, serve, standing, timeWait } from './parts.ts';
import type { Scene } from './scene.ts';

export const survey: readonly Scene[] = [
  {
    id: 'plain',
    title: 'A plain server',
    explain: {},
    free: 'freed',
    wait: 'timeout',
    open: 'done',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port }));
      return standing(port, { holders: [server.pid] });
    },
  },
  {
    id: 'server-and-client',
    title: 'A server and a client of it, such as a browser',
    explain: {},
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port }));
      const browser = await world.node(client(port));
      return standing(port, { holders: [server.pid], innocent: [browser.pid] });
    },
  },
  {
    id: 'leaves-a-leftover',
    title: 'A server without SO_REUSEADDR that has a client: what it leaves blocks the port',
    explain: {},
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await python(
        world,
        `s = socket.socket(); s.bind(('127.0.0.1', ${port})); s.listen(5); print('ready', flush=True)
c, _ = s.accept(); time.sleep(60)`,
      );
      const browser = await world.node(client(port));
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [server.pid], innocent: [browser.pid] });
    },
  },
  {
    id: 'inherited',
    title: 'The server was killed, and its child still has the socket',
    explain: { reason: /inherit/i },
    free: 'freed',
    async stand(_world, stage) {
      const port = stage.freePort();
      const actor = await stage.actor('server');
      const socket = await actor.open({ reuseAddress: true });
      await socket.bind('127.0.0.1', port);
      await socket.listen();
      const child = await actor.spawn('worker', [socket]);
      await actor.kill();
      return standing(port, { holders: [child.pid] });
    },
    flags: ['--yes'],
  },
  {
    id: 'parent-and-child',
    title: 'A server, and a child that has its socket too',
    explain: {},
    free: 'freed',
    flags: ['--yes'],
    async stand(_world, stage) {
      const port = stage.freePort();
      const actor = await stage.actor('server');
      const socket = await actor.open({ reuseAddress: true });
      await socket.bind('127.0.0.1', port);
      await socket.listen();
      const child = await actor.spawn('worker', [socket]);
      return standing(port, { holders: [actor.pid, child.pid] });
    },
  },
  {
    id: 'time-wait',
    title: 'TIME_WAIT of a server that had not set SO_REUSEADDR',
    explain: { reason: /TIME_WAIT|TIME-WAIT/ },
    free: 'freed',
    wait: 'timeout',
    async stand(world, stage) {
      const port = await timeWait(world, stage);
      return standing(port, { endpoint: `127.0.0.1:${port}` });
    },
  },
  {
    id: 'outgoing',
    title: 'A client that was given this port by the kernel for its own connection',
    explain: { reason: /outgoing|connection (?:to|from)|client/i },
    free: 'left',
    wait: 'timeout',
    open: 'timeout',
    async stand(world, stage) {
      const [port, remote] = [stage.freePort(), stage.freePort()];
      const server = await world.node(serve({ port: remote }));
      const browser = await python(
        world,
        `c = socket.create_connection(('127.0.0.1', ${remote}), source_address=('127.0.0.1', ${port})); print('ready'); time.sleep(60)`,
      );
      return standing(port, {
        endpoint: `127.0.0.1:${port}`,
        holders: [browser.pid],
        innocent: [server.pid, browser.pid],
      });
    },
  },
  {
    id: 'bound',
    title: 'A socket that is bound and does not listen',
    explain: { reason: /does not listen|not listening|without listening|bound/i },
    free: 'freed',
    flags: ['--yes'],
    wait: 'timeout',
    open: 'timeout',
    async stand(world, stage) {
      const port = stage.freePort();
      const holder = await python(
        world,
        `s = socket.socket(); s.bind(('127.0.0.1', ${port})); print('ready'); time.sleep(60)`,
      );
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [holder.pid] });
    },
  },
  {
    id: 'ignores-sigterm',
    title: 'A server that ignores SIGTERM; the user has said that it may be killed',
    explain: {},
    free: 'freed',
    flags: ['--force', '--grace', '500ms'],
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(`process.on('SIGTERM', () => {}); ${serve({ port })}`);
      return standing(port, { holders: [server.pid] });
    },
  },
  {
    id: 'needs-a-moment',
    title: 'A server that needs 1.2 s to save its work',
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const saved = join(world.directory, 'saved');
      await world.node(
        `process.on('SIGTERM', () => setTimeout(() => { require('fs').writeFileSync(${JSON.stringify(saved)}, ''); process.exit(0); }, 1200)); ${serve({ port })}`,
      );
      return standing(port, {
        harm: async () => {
          for (let i = 0; i < 20; i++) {
            if (statSync(saved, { throwIfNoEntry: false }) !== undefined) return null;
            await sleep(100);
          }
          return 'the work of the server was lost';
        },
      });
    },
  },
  {
    id: 'ipv6-only',
    title: 'A server on ::1 alone',
    explain: {},
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port, host: '::1' }));
      return standing(port, { holders: [server.pid] });
    },
  },
  {
    id: 'udp',
    title: 'A UDP server',
    explain: {},
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(
        `require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('ready'))`,
      );
      return standing(port, {
        endpoint: `udp/127.0.0.1:${port}`,
        holders: [server.pid],
        bind: () => datagramBinds(port),
      });
    },
  },
  {
    id: 'free',
    title: 'The port is free',
    explain: { free: true },
    free: 'freed',
    wait: 'done',
    stand: async (_world, stage) => standing(stage.freePort()),
  },
  {
    id: 'free-is-a-pid',
    title: 'The port is free, and a process happens to have that number',
    explain: { free: true },
    free: 'freed',
    async stand(world) {
      const other = await world.node(`console.log('ready'); ${idle}`);
      return standing(other.pid, { innocent: [other.pid] });
    },
  },
  {
    id: 'out-of-range',
    title: '99999 is asked for',
    explain: { reason: /0 to 65535|65535|between|range/i },
    free: 'left',
    stand: async () => ({ endpoint: '99999', port: '99999' }),
  },
  {
    id: 'no-number',
    title: '"abc" is asked for',
    explain: { reason: /expected|invalid|not a|must be|no such|cannot/i },
    free: 'left',
    stand: async () => ({ endpoint: 'abc', port: 'abc' }),
  },
  {
    id: 'two-share',
    title: 'Two processes share the port with SO_REUSEPORT',
    explain: {},
    free: 'freed',
    async stand(_world, stage) {
      const port = stage.freePort();
      const pids: number[] = [];
      for (const role of ['first', 'second']) {
        const actor = await stage.actor(role);
        const socket = await actor.open({ reuseAddress: true, reusePort: true });
        await socket.bind('127.0.0.1', port);
        await socket.listen();
        await socket.serve();
        pids.push(actor.pid);
      }
      return standing(port, { holders: pids });
    },
    flags: ['--yes'],
  },
  {
    id: 'tcp-and-udp',
    title: 'A TCP server, and another program on the same UDP port',
    explain: {},
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port }));
      const other = await world.node(
        `require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('ready'))`,
      );
      return standing(port, { holders: [server.pid], innocent: [other.pid] });
    },
  },
  {
    id: 'prefix',
    title: 'The port is free, and a port that begins with the same digits is in use',
    explain: { free: true },
    free: 'freed',
    async stand(world, stage) {
      const longer = stage.freePort();
      const server = await world.node(serve({ port: longer }));
      return standing(Math.floor(longer / 10), { innocent: [server.pid] });
    },
  },
  {
    id: 'two-addresses',
    title: 'One program on 127.0.0.1, another on ::1, and the user wants every address',
    explain: {},
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const one = await world.node(serve({ port, host: '127.0.0.1' }));
      const two = await world.node(serve({ port, host: '::1' }));
      return standing(port, { holders: [one.pid, two.pid] });
    },
  },
  {
    id: 'other-user',
    title: 'A server of another user, which the asker may not look into',
    explain: { reason: /user|root|sudo|permission/i },
    free: 'left',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port }));
      return standing(port, { innocent: [server.pid], askAs: stage.unprivileged().askAs, cwd: '/' });
    },
  },
];
