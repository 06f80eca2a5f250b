/**
 * Ways to restart one and the same server, each started, asked to restart, and ended in its own manner.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openHeld } from '../src/hold/held-socket.ts';
import { os } from '../src/os/index.ts';
import { findProgram } from '../src/stage/needs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** The server that all of them run. */
export const program = `${root}test/fixtures/hold/server.cjs`;
const bin = (name: string): string => `${root}node_modules/.bin/${name}`;

export interface Restarter {
  readonly name: string;
  /** As it could be typed. */
  readonly command: string;
  /** Why it cannot run here, or null. */
  readonly missing: string | null;
  /** True when it starts a server again that was killed. */
  readonly respawns: boolean;
  start(port: number, environment: NodeJS.ProcessEnv): Promise<Started>;
}

export interface Started {
  /** Asks for a restart; resolves when the next one may be asked for. */
  restart(): Promise<void>;
  /** The process that supervises, when there is one. */
  readonly pid: number | null;
  stop(): Promise<void>;
}

/** All of them; the server has no signal handler unless the name says "graceful". */
export function restarters(): Restarter[] {
  return [
    ...[null, 22, 24, 26].map((version) => rebindHold(version, [])),
    rebindHold(24, ['--hand-off']),
    plain(),
    watcher('nodemon', [bin('nodemon'), '--quiet', '--signal', 'SIGTERM']),
    watcher('node --watch', [process.execPath, '--watch']),
    watcher('tsx watch', [bin('tsx'), 'watch']),
    pm2(),
    systemdStyle(),
    startServer(),
  ];
}

function plain(): Restarter {
  return {
    name: 'kill and start',
    command: 'kill $PID; wait; node server.cjs',
    missing: null,
    respawns: false,
    async start(port, environment) {
      let child = serve([process.execPath, program], port, environment);
      return {
        pid: null,
        async restart() {
          await ended(child);
          child = serve([process.execPath, program], port, environment);
        },
        stop: () => ended(child),
      };
    },
  };
}

function watcher(name: string, command: readonly string[]): Restarter {
  return {
    name,
    command: `${name} server.cjs, and touch server.cjs`,
    missing: null,
    respawns: false,
    async start(port, environment) {
      const directory = mkdtempSync(join(tmpdir(), 'rebind-bench-'));
      const script = join(directory, 'server.cjs');
      writeFileSync(script, `require(${JSON.stringify(program)})`);
      // A group of its own: watchers leave their child behind when they are ended.
      const child = serve([...command, script], port, environment, { detached: true, cwd: directory });
      return {
        pid: child.pid ?? null,
        async restart() {
          const now = new Date();
          writeFileSync(script, `require(${JSON.stringify(program)}) // ${now.toISOString()}`);
          utimesSync(script, now, now);
        },
        async stop() {
          killGroup(child);
          await gone(child);
          rmSync(directory, { recursive: true });
        },
      };
    },
  };
}

/** Its best configuration: two processes in cluster mode, wait-ready, and a server that shuts down by the textbook. */
function pm2(): Restarter {
  return {
    name: 'pm2 reload, 2 processes, graceful',
    command: 'pm2 start server.cjs -i 2 --wait-ready --kill-timeout 2000; pm2 reload server',
    missing: existsSync(bin('pm2')) ? null : 'not installed',
    respawns: true,
    async start(port, environment) {
      const home = mkdtempSync(join(tmpdir(), 'rebind-pm2-'));
      const env = { ...process.env, ...environment, PORT: String(port), GRACEFUL: '1', PM2_HOME: home };
      const ask = (...args: string[]): Promise<void> =>
        gone(spawn(process.execPath, [bin('pm2'), '--silent', ...args], { env, stdio: 'ignore' }));
      await ask('start', program, '--name', 'server', '-i', '2', '--wait-ready', '--kill-timeout', '2000');
      return {
        pid: Number(readFileSync(join(home, 'pm2.pid'), 'utf8')),
        restart: () => ask('reload', 'server'),
        async stop() {
          await ask('kill');
          rmSync(home, { recursive: true, force: true });
        },
      };
    },
  };
}

/** What `systemctl restart` does with a socket unit: stop, then start on the held socket. The server shuts down by the textbook. */
function systemdStyle(): Restarter {
  return {
    name: 'systemd socket, restart, graceful',
    command: 'systemctl restart server.service, beside a server.socket, TimeoutStopSec=2',
    missing: null,
    respawns: false,
    async start(port, environment) {
      const socket = openHeld({ protocol: 'tcp', address: '127.0.0.1', port }, true, 4_096);
      const again = (): ChildProcess =>
        serve([process.execPath, program], port, { ...environment, GRACEFUL: '1', LISTEN_FD: '3' }, { fd: socket.fd });
      let child = again();
      return {
        pid: null,
        async restart() {
          await ended(child);
          child = again();
        },
        async stop() {
          await ended(child);
          os().sockets.close(socket.fd);
        },
      };
    },
  };
}

/** Perl's start_server, which takes a program that lives for a second as ready. The server shuts down by the textbook. */
function startServer(): Restarter {
  const path = findProgram('start_server');
  return {
    name: 'start_server, graceful',
    command: 'start_server --port 127.0.0.1:3000=5 -- node server.cjs, and kill -HUP $PID',
    missing: path === null ? 'not installed: apt-get install libserver-starter-perl' : null,
    respawns: true,
    async start(port, environment) {
      const command = [path ?? '', `--port=127.0.0.1:${port}=5`, '--', process.execPath, program];
      const child = serve(command, port, { ...environment, GRACEFUL: '1', LISTEN_FD: '5' });
      return {
        pid: child.pid ?? null,
        async restart() {
          child.kill('SIGHUP');
        },
        stop: () => ended(child),
      };
    },
  };
}

function rebindHold(version: number | null, options: readonly string[]): Restarter {
  const node = version === null ? process.execPath : `${root}test/versions/node_modules/node${version}/bin/node`;
  const major = version ?? Number(process.versions.node.split('.')[0]);
  return {
    name: `${['rebind hold', ...options].join(' ')}, Node ${major}`,
    command: `${['rebind hold 127.0.0.1:3000', ...options].join(' ')} -- node server.cjs, and kill -HUP $PID`,
    missing: existsSync(node) ? null : 'not installed: npm ci --prefix test/versions',
    respawns: true,
    async start(port, environment) {
      const command = [`${root}dist/cli/rebind.cjs`, 'hold', `127.0.0.1:${port}`, ...options, '--', node, program];
      const child = serve([process.execPath, ...command], port, environment, { tells: true });
      let ready = 0;
      let heard = (): void => {};
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        ready += text.match(/\(pid \d+\) is ready/g)?.length ?? 0;
        heard();
      });
      return {
        pid: child.pid ?? null,
        // A second SIGHUP before the newcomer is ready would take its place, and less would be restarted.
        restart: () =>
          new Promise((resolve) => {
            const wanted = ready + 1;
            heard = () => {
              if (ready >= wanted) resolve();
            };
            child.kill('SIGHUP');
          }),
        async stop() {
          child.kill('SIGINT');
          await gone(child);
        },
      };
    },
  };
}

function serve(
  [file = '', ...args]: readonly string[],
  port: number,
  environment: NodeJS.ProcessEnv,
  how: { readonly detached?: boolean; readonly cwd?: string; readonly fd?: number; readonly tells?: boolean } = {},
): ChildProcess {
  return spawn(file, args, {
    env: { ...process.env, ...environment, NODE_OPTIONS: '', PORT: String(port), HOST: '127.0.0.1' },
    stdio: ['ignore', 'ignore', how.tells ? 'pipe' : 'ignore', ...(how.fd === undefined ? [] : [how.fd])],
    detached: how.detached ?? false,
    cwd: how.cwd,
  });
}

/** A textbook shutdown never ends while a keep-alive connection is in use, so every supervisor kills after a time. */
const stopWithinMs = 2_000;

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const hurry = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
  await gone(child);
  clearTimeout(hurry);
}

/** Ends what is left of it, when anything is. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function gone(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
}

/** Memory of a process in megabytes (VmRSS, proc_pid_status(5)). */
export function memoryMb(pid: number): number {
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(stdout.trim()) / 1024;
}
