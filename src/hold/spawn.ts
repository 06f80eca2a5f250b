/**
 * How the held sockets reach the command: descriptors from 3 upward, and the environment that tells about them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { delimiter, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import type { HeldSocket } from './held-socket.ts';
import { generationVariable, type Passed, type PassedSocket, passedVariable } from './wire/passed.ts';

/** Copies of each socket: one to serve on, one to hand on or to listen again. */
export const copies = 2;

/** The preload: Node programs get it through NODE_OPTIONS. */
export const adoptPath = fileURLToPath(new URL('../preload/adopt.js', import.meta.url));

/** Variables of somebody else's socket activation, and the process that hold itself is to a watchdog (sd_watchdog_enabled(3)). */
const foreignVariables = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID', 'WATCHDOG_PID'];

export interface Spawning {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** What follows stdin, stdout and stderr. */
  readonly descriptors: readonly number[];
}

/**
 * What to start, so that the command finds the sockets.
 *
 * LISTEN_PID must be the number of the process that reads it (sd_listen_fds(3)), which only a process in the command's
 * own place can know: so a shell sets it and becomes the command.
 */
export function spawning(
  command: readonly string[],
  sockets: readonly HeldSocket[],
  passed: Omit<Passed, 'sockets' | 'copies' | 'version'>,
  base: NodeJS.ProcessEnv,
  notify: string | null,
  further: readonly number[] = [],
): Spawning {
  const [file = '', ...args] = command;
  const environment: NodeJS.ProcessEnv = { ...base };
  for (const name of foreignVariables) delete environment[name];
  const described: Passed = {
    version: 1,
    ...passed,
    copies,
    sockets: sockets.map(passedOf),
  };
  environment[passedVariable] = JSON.stringify(described);
  environment[generationVariable] = String(passed.generation);
  environment['NODE_OPTIONS'] = mergeNodeOptions(base['NODE_OPTIONS']);
  if (notify !== null) environment['NOTIFY_SOCKET'] = notify;
  // Those that systemd's variable counts come first.
  const descriptors = [...Array.from({ length: copies }, () => sockets.map(({ fd }) => fd)).flat(), ...further];
  const shell = sockets.length === 0 ? null : shellFor(environment);
  if (shell === null) return { file, args, environment, descriptors };
  environment['LISTEN_FDS'] = String(sockets.length);
  environment['LISTEN_FDNAMES'] = sockets.map(({ endpoint }) => fdName(formatEndpoint(endpoint))).join(':');
  return {
    file: shell.file,
    args: [...shell.args, '-c', 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', 'sh', file, ...args],
    environment,
    descriptors,
  };
}

/** What a program is told of a held socket. The path of a Unix socket holds in any directory. */
export function passedOf({ endpoint, identity, explicit, asked, v6Only, fileIdentity }: HeldSocket): PassedSocket {
  const isFile = endpoint.protocol === 'unix' && !endpoint.path.startsWith('\0');
  const absolute = isFile ? { ...endpoint, path: resolve(endpoint.path) } : endpoint;
  return { endpoint: absolute, identity, explicit, asked, v6Only, fileIdentity };
}

/** The command's stdin. The kernel would not stop it, in a session of its own, from reading what is typed for the shell while hold is in the background. */
function stdinFor(): 'inherit' | 'ignore' {
  return isatty(0) && os().processes.terminal() === 'background' ? 'ignore' : 'inherit';
}

/** What was in NODE_OPTIONS stays; the preload is added once. */
function mergeNodeOptions(options: string | undefined): string {
  const ours = requireOption(adoptPath);
  if (options === undefined || options.trim() === '') return ours;
  return options.includes(ours) ? options : `${options} ${ours}`;
}

/**
 * The option of Node that loads a preload, as NODE_OPTIONS spells it. Not `--import`: that loads the program as a module, which changes
 * `module.parent`, the order of microtasks, and which extensions are known.
 */
export function requireOption(path: string): string {
  // Node splits at spaces, and reads what is between double quotes as it is, but for the backslash (src/node_options.cc).
  return /[\s"\\]/.test(path) ? `--require="${path.replace(/["\\]/g, '\\$&')}"` : `--require=${path}`;
}

/** FDNAMES are separated by colons, so an address cannot carry any (sd_listen_fds_with_names(3)). */
function fdName(endpoint: string): string {
  return endpoint.replace(/[^!-9;-~]/g, '_').slice(0, 255);
}

/**
 * A shell that hands on every variable. dash and busybox drop those whose name no shell could write, such as npm's
 * `npm_config_//registry…:_authToken`; bash keeps them, and with -p it reads no file and no function of the environment.
 *
 * Null in an image without one: the command still gets descriptors, and Node programs adopt them.
 */
function shellFor(environment: NodeJS.ProcessEnv): { readonly file: string; readonly args: readonly string[] } | null {
  const isPlain = Object.keys(environment).every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  const shell = isPlain ? { file: '/bin/sh', args: [] } : { file: '/bin/bash', args: ['-p'] };
  try {
    accessSync(shell.file, constants.X_OK);
    return shell;
  } catch {
    return null;
  }
}

/** Where a command is, or why it cannot be started. */
export type FoundCommand =
  | { readonly path: string }
  | { readonly path: null; readonly why: 'not-found' | 'not-executable' };

/** Looks a command up as execvp(3) does, so that it can be told before anything is bound. */
export function findCommand(file: string, environment: NodeJS.ProcessEnv, cwd: string): FoundCommand {
  const candidates = file.includes('/')
    ? [resolve(cwd, file)]
    : (environment['PATH'] ?? '/usr/bin:/bin').split(delimiter).map((directory) => resolve(cwd, directory, file));
  const found = candidates.map((path) => ({ path, state: stateOf(path) }));
  const usable = found.find(({ state }) => state === 'ok');
  if (usable !== undefined) return { path: usable.path };
  return { path: null, why: found.some(({ state }) => state === 'not-executable') ? 'not-executable' : 'not-found' };
}

function stateOf(path: string): 'ok' | 'not-found' | 'not-executable' {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch {
    // Also a directory of PATH that may not be searched: it has no such command for us, as for a shell.
    return 'not-found';
  }
  try {
    accessSync(path, constants.X_OK);
    return isDirectory ? 'not-executable' : 'ok';
  } catch {
    return 'not-executable';
  }
}

/** What of a generation its processes are started with. */
export interface CommandOptions {
  readonly number: number;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly sockets: readonly HeldSocket[];
  readonly control: {
    readonly name: string;
    readonly token: string;
    readonly reference: { readonly fd: number; readonly identity: string } | null;
  };
  readonly readyBy: Passed['readyBy'];
  readonly backlog: number;
  readonly learn: boolean;
  readonly lease: boolean;
  readonly handOff: boolean;
  /** Where the command's stderr goes when its last lines are kept; null leaves it alone. */
  readonly stderr: NodeJS.WritableStream | null;
}

/** A command that was started. */
export interface Started {
  readonly child: ChildProcess;
  /** What it writes there, to be passed on; null where it has ours. */
  readonly stderr: Readable | null;
}

/** Starts the command. @param notify Where it says that it is ready, as sd_notify(3) does; null leaves that to the manager of hold. */
export function spawnCommand(options: CommandOptions, notify: string | null): Started {
  const { control } = options;
  const passed: Omit<Passed, 'sockets' | 'copies' | 'version'> = {
    pid: process.pid,
    control: control.name,
    reference: control.reference?.identity ?? null,
    token: control.token,
    generation: options.number,
    readyBy: options.readyBy,
    backlog: options.backlog,
    learn: options.learn,
    lease: options.lease,
    handOff: options.handOff,
  };
  const how = spawning(
    options.command,
    options.sockets,
    passed,
    options.environment,
    notify ?? options.environment['NOTIFY_SOCKET'] ?? null,
    control.reference === null ? [] : [control.reference.fd],
  );
  // Not a pipe of Node's: that is a socket, which no program can open as /dev/stderr, and which Node keeps when it cannot start the child (EMFILE).
  const pipe = options.stderr === null ? null : os().streams.pipe();
  const stderr = pipe === null ? null : new Socket({ fd: pipe.readable, readable: true, writable: false });
  try {
    const child = spawn(how.file, [...how.args], {
      cwd: options.cwd,
      env: how.environment,
      // A session of its own: the whole tree can be signalled, and the terminal's Ctrl-C reaches it once, through us.
      detached: true,
      stdio: [stdinFor(), 'inherit', pipe?.writable ?? 'inherit', ...how.descriptors],
    });
    return { child, stderr };
  } catch (error) {
    stderr?.destroy();
    throw error;
  } finally {
    if (pipe !== null) closeSync(pipe.writable);
  }
}
