/**
 * The situations, from those of the survey of other tools and from public reports of daily use.
 */

import { createSocket } from 'node:dgram';
import { mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../src/stage/needs.ts';
import { tcpStates } from '../../src/stage/ports.ts';
import type { Stage } from '../../src/stage/stage.ts';
import type { Running, World } from '../../test/free/world.ts';
import type { Scene, Standing } from './scene.ts';

const idle = 'setInterval(() => {}, 1e6)';
const serve = (listen: object): string =>
  `require('net').createServer((socket) => socket.on('error', () => {})).listen(${JSON.stringify(listen)}, () => console.log('ready'))`;
const client = (port: number): string =>
  `const socket = require('net').connect(${port}, '127.0.0.1', () => console.log('ready')); socket.on('error', () => {}); socket.on('close', () => ${idle})`;

/** Python makes the sockets that Node does not: without SO_REUSEADDR, bound and not listening, inheritable. */
const python = (world: World, code: string, options = {}): Promise<Running> =>
  world.run(
    ['python3', '-u', '-c', `import os, signal, socket, subprocess, sys, time\n${code}`],
    /^ready.*\n/m,
    options,
  );

const listener = (port: number, more = ''): string => `s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', ${port}))
s.listen(5)
${more}`;

const standing = (port: number, more: Partial<Standing> = {}): Standing => ({
  endpoint: String(port),
  port: String(port),
  ...more,
});

/** Leaves a TIME_WAIT that blocks: the server had not set SO_REUSEADDR, and closed first. */
async function timeWait(world: World, stage: Stage): Promise<number> {
  const port = stage.freePort();
  await python(
    world,
    `a = socket.socket(); a.bind(('127.0.0.1', ${port})); a.listen(5)
c = socket.create_connection(('127.0.0.1', ${port})); b, _ = a.accept()
b.close(); c.close(); a.close(); print('ready'); time.sleep(60)`,
  );
  await stage.settled(port, (states) => states.includes('TIME_WAIT') && !states.includes('LISTEN'));
  return port;
}

export const scenes: readonly Scene[] = [
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
  {
    id: 'suspended',
    title: 'A server that was suspended with Ctrl-Z',
    explain: { reason: /suspend|stopped/i },
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port }));
      server.child.kill('SIGSTOP');
      return standing(port, { holders: [server.pid] });
    },
  },
  {
    id: 'player',
    title: 'A program was started by a server that is gone, and only inherited its socket',
    explain: { reason: /inherit/i },
    free: 'left',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await python(
        world,
        `${listener(port)}
os.set_inheritable(s.fileno(), True)
p = subprocess.Popen(['sleep', '600'], close_fds=False, start_new_session=True); print('ready', p.pid)`,
      );
      const player = Number(/ready (\d+)/.exec(server.printed())?.[1]);
      await server.ended();
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [player], innocent: [player] });
    },
  },
  {
    id: 'daemon-with-own-port',
    title: 'A daemon only inherited this port, and serves another',
    explain: { reason: /inherit/i },
    free: 'left',
    async stand(world, stage) {
      const [port, own] = [stage.freePort(), stage.freePort()];
      const server = await python(
        world,
        `${listener(port)}
os.set_inheritable(s.fileno(), True)
code = """
import socket
s = socket.socket(); s.bind(('127.0.0.1', ${own})); s.listen(5); print('ready', flush=True)
while True: c, _ = s.accept(); c.close()
"""
p = subprocess.Popen([sys.executable, '-c', code], close_fds=False, start_new_session=True, stdout=subprocess.PIPE)
p.stdout.readline(); print('ready', p.pid)`,
      );
      const daemon = Number(/ready (\d+)/.exec(server.printed())?.[1]);
      await server.ended();
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [daemon], innocent: [daemon] });
    },
  },
  {
    id: 'busy',
    title: 'A server that is busy and accepts nothing for a while',
    explain: { reason: /^(?![\s\S]*inherited from)[\s\S]*$/ },
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await python(
        world,
        `${listener(port)}
print('ready', flush=True)
c, _ = s.accept(); time.sleep(600)`,
      );
      await world.node(client(port));
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [server.pid] });
    },
  },
  {
    id: 'stub-resolver',
    title: 'Every address is wanted, and a program has one loopback address',
    explain: { reason: /127\.0\.0\.53/ },
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await world.node(serve({ port, host: '127.0.0.53' }));
      return standing(port, { endpoint: `0.0.0.0:${port}`, holders: [server.pid] });
    },
  },
  {
    id: 'not-my-address',
    title: 'The address is not one of this machine',
    explain: { reason: /address/i },
    async stand(_world, stage) {
      const port = stage.freePort();
      return standing(port, { endpoint: `192.0.2.7:${port}` });
    },
  },
  {
    id: 'privileged',
    title: 'Port 80, as an ordinary user',
    explain: { reason: /1024|privilege|root/i },
    async stand(_world, stage) {
      return standing(80, { askAs: stage.unprivileged().askAs, cwd: '/' });
    },
  },
  {
    id: 'stale-socket-file',
    title: 'A Unix socket whose server is gone',
    explain: { reason: /leftover|left|stale|no process|nobody|nothing listens/i },
    free: 'freed',
    async stand(world) {
      const path = join(world.directory, 'app.sock');
      const server = await python(
        world,
        `s = socket.socket(socket.AF_UNIX); s.bind(${JSON.stringify(path)}); s.listen(5); print('ready')`,
      );
      await server.ended();
      return { endpoint: path, port: null, bind: () => nodeListens({ path }) };
    },
  },
  {
    id: 'directory-in-place',
    title: 'A directory, not empty, stands where the socket should be',
    explain: { reason: /directory/i },
    free: 'left',
    async stand(world) {
      const path = join(world.directory, 'app.sock');
      mkdirSync(path);
      writeFileSync(join(path, 'data'), '');
      return {
        endpoint: path,
        port: null,
        harm: async () =>
          statSync(join(path, 'data'), { throwIfNoEntry: false }) === undefined ? 'a file is gone' : null,
      };
    },
  },
  {
    id: 'unix-other-namespace',
    title: 'A Unix socket whose server is in another network namespace, such as a container',
    explain: { reason: /namespace|listens|in use/i },
    free: 'left',
    async stand(world) {
      const path = join(world.directory, 'app.sock');
      const server = await world.run(
        [
          'unshare',
          '-n',
          process.execPath,
          '-e',
          `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`,
        ],
        /^ready/m,
      );
      return {
        endpoint: path,
        port: null,
        innocent: [server.pid],
        harm: async () =>
          statSync(path, { throwIfNoEntry: false }) === undefined ? 'the socket file of a live server is gone' : null,
      };
    },
  },
  {
    id: 'naive-unix-server',
    title: 'A Unix server that exits at the first connection which is reset',
    explain: {},
    async stand(world) {
      const path = join(world.directory, 'app.sock');
      const server = await world.node(
        `require('net').createServer((socket) => process.exit(1)).listen(${JSON.stringify(path)}, () => console.log('ready'))`,
      );
      return { endpoint: path, port: null, holders: [server.pid], innocent: [server.pid] };
    },
  },
  {
    id: 'editor',
    title: "A server opened the user's editor, which inherited the socket",
    explain: {},
    free: 'left',
    async stand(world, stage) {
      const port = stage.freePort();
      const server = await python(
        world,
        `${listener(port)}
os.set_inheritable(s.fileno(), True)
p = subprocess.Popen(['vim', '-c', 'import time; time.sleep(600)', 'notes.txt'], executable=sys.executable, close_fds=False, start_new_session=True)
print('ready', p.pid, flush=True)
while True: c, _ = s.accept(); c.close()`,
      );
      const editor = Number(/ready (\d+)/.exec(server.printed())?.[1]);
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [server.pid], innocent: [editor] });
    },
  },
  {
    id: 'restarted-by-a-loop',
    title: 'A shell loop starts the server again whenever it exits',
    free: 'left',
    async stand(world, stage) {
      const port = stage.freePort();
      const script = join(world.directory, 'run.sh');
      writeFileSync(script, `while :; do ${process.execPath} -e "${serve({ port }).replaceAll('"', '\\"')}"; done\n`);
      await world.run(['bash', script], /^ready/m, { cwd: world.directory });
      return standing(port, { cwd: world.directory, againAfterMs: 2_000 });
    },
  },
  {
    id: 'supervisord',
    title: 'supervisord runs the server through npm, and would start it again',
    explain: { reason: /supervisor/i },
    free: 'freed',
    flags: ['--yes'],
    async stand(world, stage) {
      if (findProgram('supervisord') === null) throw new Error('supervisord is not installed');
      const port = stage.freePort();
      const folder = mkdtempSync(join(world.directory, 'supervisor-'));
      writeFileSync(join(folder, 'server.js'), serve({ port }));
      writeFileSync(join(folder, 'package.json'), '{"scripts":{"start":"node server.js"}}');
      writeFileSync(
        join(folder, 'supervisord.conf'),
        `[unix_http_server]
file=${folder}/s.sock
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile=${folder}/s.pid
childlogdir=${folder}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${folder}/s.sock
[program:shop]
command=npm run start
directory=${folder}
stopasgroup=true
killasgroup=true
`,
      );
      const supervisor = await world.run(['supervisord', '-c', join(folder, 'supervisord.conf')], null, {
        cwd: folder,
      });
      await listening(port);
      return standing(port, {
        cwd: folder,
        againAfterMs: 4_000,
        harm: async () => (supervisor.isAlive() ? null : 'supervisord is gone, with everything else that it runs'),
      });
    },
  },
  {
    id: 'pm2-cluster',
    title: 'pm2 runs the server in its cluster mode, and another application on another port',
    explain: { reason: /pm2 stop/ },
    free: 'freed',
    flags: ['--yes'],
    async stand(world, stage) {
      const pm2 = fileURLToPath(new URL('../../../node_modules/.bin/pm2', import.meta.url));
      const home = join(world.directory, '.pm2');
      const env = { PM2_HOME: home, HOME: world.directory };
      const [port, other] = [stage.freePort(), stage.freePort()];
      writeFileSync(join(world.directory, 'shop.js'), serve({ port }));
      writeFileSync(join(world.directory, 'other.js'), serve({ port: other }));
      await world.run([pm2, 'start', 'shop.js', '-i', '2'], /Done\./, { cwd: world.directory, env });
      await world.run([pm2, 'start', 'other.js'], /Done\./, { cwd: world.directory, env });
      await listening(port);
      await listening(other);
      return standing(port, {
        cwd: world.directory,
        againAfterMs: 2_000,
        env: { ...env, PATH: `${dirname(pm2)}:${process.env['PATH']}` },
        harm: async () =>
          (await nodeListens({ port: other })) ? `the other application, on port ${other}, is gone` : null,
      });
    },
  },
  {
    id: 'reloader',
    title: 'The worker of a reloader was killed; the reloader opened the socket and keeps it',
    explain: { reason: /^(?![\s\S]*inherited from)[\s\S]*$/ },
    free: 'freed',
    async stand(world, stage) {
      const port = stage.freePort();
      const reloader = await python(
        world,
        `${listener(port)}
p = subprocess.Popen(['sleep', '0']); p.wait(); print('ready'); time.sleep(600)`,
      );
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [reloader.pid] });
    },
  },
  {
    id: 'tentative',
    title: 'An IPv6 address of this machine that is still tentative',
    explain: { reason: /tentative/i },
    async stand(world, stage) {
      for (const words of [
        'link add dummy9 type dummy',
        'link set dummy9 up',
        'addr add 2001:db8::9/64 dev dummy9 tentative',
      ])
        await world.run(['sh', '-c', `ip ${words}; echo ready`], /^ready/m);
      const port = stage.freePort();
      return standing(port, { endpoint: `[2001:db8::9]:${port}` });
    },
  },
  {
    id: 'long-path',
    title: 'The path of a Unix socket is longer than the kernel allows',
    explain: { reason: /10[78] bytes/ },
    async stand(world) {
      return { endpoint: join(world.directory, `${'x'.repeat(120)}.sock`), port: null };
    },
  },
  {
    id: 'no-sockets-there',
    title: 'A Unix socket on a file system that has no sockets',
    explain: { reason: /file system|sysfs|EACCES|EPERM|permission/i },
    free: 'left',
    stand: async () => ({ endpoint: '/sys/kernel/app.sock', port: null }),
  },
  {
    id: 'other-project',
    title: 'A server of another project of the same user',
    explain: {},
    free: 'left',
    async stand(world, stage) {
      const port = stage.freePort();
      const [mine, other] = [join(world.directory, 'mine'), join(world.directory, 'other')];
      for (const folder of [mine, other]) {
        mkdirSync(folder);
        writeFileSync(join(folder, 'package.json'), '{}');
      }
      const server = await world.node(serve({ port }), { cwd: other });
      return standing(port, { holders: [server.pid], innocent: [server.pid], cwd: mine });
    },
  },
  {
    id: 'self-connect',
    title: 'Nothing listens, and a client that retries can connect to itself',
    explain: { free: true },
    open: 'timeout',
    async stand(_world, stage) {
      const port = 34_000;
      stage.setting('ipv4.ip_local_port_range', `${port} ${port + 3}`);
      return standing(port, { endpoint: `127.0.0.1:${port}` });
    },
  },
];

/** Whether Node can listen there. */
export function nodeListens(
  where: { readonly port: number; readonly host?: string } | { readonly path: string },
): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ ...where, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function datagramBinds(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

/** Resolves when a server listens there; npm and pm2 take seconds to start one. */
async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (tcpStates(port).includes('LISTEN')) return;
    await sleep(100);
  }
  throw new Error(`nothing listens on port ${port} after 30 s`);
}
