import { mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../src/stage/needs.ts';
import { client, listener, listening, nodeListens, python, serve, standing } from './parts.ts';
import type { Scene } from './scene.ts';

export const daily: readonly Scene[] = [
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
        holders: [server.pid],
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
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [server.pid, editor], innocent: [editor] });
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
        ['--reload', '--port', String(port)],
      );
      return standing(port, { endpoint: `127.0.0.1:${port}`, holders: [reloader.pid] });
    },
  },
  {
    id: 'tentative',
    title: 'An IPv6 address of this machine that is still tentative',
    explain: { reason: /tentative|duplicate address/i },
    async stand(world, stage) {
      for (const words of ['link add v0 type veth peer name v1', 'link set v1 up'])
        await world.run(['sh', '-c', `ip ${words} && echo ready`], /^ready/m);
      // The kernel asks thirty times, a second each, before it uses the address.
      stage.setting('ipv6.conf.v0.accept_dad', '1');
      stage.setting('ipv6.conf.v0.dad_transmits', '30');
      for (const words of ['link set v0 up', 'addr add 2001:db8::9/64 dev v0'])
        await world.run(['sh', '-c', `ip ${words} && echo ready`], /^ready/m);
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
