/**
 * The options of hold, and what it tells while it runs.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkOptions, nameOf } from '../check.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import type { Exit } from './exit.ts';
import type { Evidence } from './ready.ts';
import type { DrainCounts } from './wire/messages.ts';
import { type ReadyBy, readyWays } from './wire/passed.ts';

/** Signals by which servers let themselves be asked to finish. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGWINCH';
export const stopSignals: readonly StopSignal[] = [
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
];

/** All times in milliseconds. */
export interface HoldOptions {
  /** As they are typed: `3000`, `127.0.0.1:3000`, `udp/53`, `./app.sock`. Empty learns the port from a Node program when it first listens. @default [] */
  readonly endpoints?: readonly string[];
  /** Listening sockets that this process has already, such as those of systemd (sd_listen_fds(3)); hold owns them from now on. @default [] */
  readonly descriptors?: readonly number[];
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** @default process.cwd() */
  readonly cwd?: string;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
  /** How long open connections and the old program have to end before SIGKILL. @default 10000 */
  readonly graceMs?: number;
  /** What asks the program to finish, such as SIGQUIT for nginx. @default 'SIGTERM' */
  readonly stopSignal?: StopSignal;
  /** How long a connection must be silent before it is closed while draining. @default 1000 */
  readonly lingerMs?: number;
  /** How long a newcomer has to become ready before it is ended and the old one goes on. @default 30000 */
  readonly readyTimeoutMs?: number;
  /** What counts as ready. @default 'auto' */
  readonly readyBy?: ReadyBy;
  /** Takes a program that lives this long as ready, without any evidence. @default null */
  readonly assumeReadyMs?: number | null;
  /** False stops the old program before the new one starts: connections wait meanwhile. @default true */
  readonly overlap?: boolean;
  /** Moves idle keep-alive connections of plain HTTP/1.1 to the new Node program, instead of closing them. @default false */
  readonly handOff?: boolean;
  /** When somebody listens on the endpoint already: start on a copy of its socket, and ask it to finish when we are ready. @default false */
  readonly takeOver?: boolean;
  /** Files and directories whose change restarts. @default [] */
  readonly watch?: readonly string[];
  /** Crashes in a row after which hold lets go of the port. @default 10 */
  readonly mostFailures?: number;
  /** The length of the queue; the kernel limits it to net.core.somaxconn. @default 4096 */
  readonly backlog?: number;
  /** Gets the command's stderr, so that its last lines can be shown; null lets the command write to ours. @default null */
  readonly stderr?: NodeJS.WritableStream | null;
}

/** What `restart` came to. */
export interface RestartResult {
  /** `superseded`: a later restart took its place. */
  readonly outcome: 'done' | 'refused' | 'superseded';
  readonly generation: number | null;
  /** One sentence, null when done. */
  readonly why: string | null;
}

/** What hold tells while it runs. */
export interface HoldEvents {
  start: [{ readonly generation: number; readonly pid: number; readonly reason: string }];
  ready: [{ readonly generation: number; readonly pid: number; readonly afterMs: number; readonly by: Evidence }];
  /** The newcomer was ended and the old one goes on. */
  refused: [
    {
      readonly generation: number;
      readonly why: string;
      readonly lastLines: readonly string[];
      readonly serving: number | null;
    },
  ];
  /** The command ended by itself, with another status than 0 or before it was ready. `againInMs` is null when it is not started again. */
  crash: [
    {
      readonly generation: number;
      readonly exit: Exit;
      readonly lastLines: readonly string[];
      readonly againInMs: number | null;
    },
  ];
  draining: [{ readonly generation: number }];
  retired: [{ readonly generation: number; readonly counts: DrainCounts | null; readonly forced: boolean }];
  learned: [{ readonly endpoint: Endpoint }];
  /** The former holder of a socket that was taken over has ended, or did not. */
  tookOver: [{ readonly pid: number; readonly ended: boolean }];
  changed: [{ readonly path: string }];
  note: [{ readonly sentence: string }];
  stopping: [{ readonly signal: NodeJS.Signals }];
  end: [{ readonly status: number }];
}

/** Complete and checked. */
export interface Settings extends Required<Omit<HoldOptions, 'env'>> {
  readonly environment: NodeJS.ProcessEnv;
  readonly learn: boolean;
}

/** The longest time a timer can wait. */
const mostMs = 2 ** 31 - 1;

const optionNames = Object.keys({
  endpoints: true,
  descriptors: true,
  command: true,
  cwd: true,
  env: true,
  graceMs: true,
  stopSignal: true,
  lingerMs: true,
  readyTimeoutMs: true,
  readyBy: true,
  assumeReadyMs: true,
  overlap: true,
  handOff: true,
  takeOver: true,
  watch: true,
  mostFailures: true,
  backlog: true,
  stderr: true,
} satisfies Record<keyof HoldOptions, true>);

/** @throws {TypeError} @throws {RangeError} */
export function readSettings(options: HoldOptions): Settings {
  checkOptions('hold()', options, optionNames);
  const { command } = options;
  if (!isTexts(command) || command.length === 0)
    throw new TypeError('hold needs a command: an array of strings, the program first');
  if (command[0] === '') throw new TypeError('hold needs a command: the name of the program is empty');
  const endpoints = texts('endpoints', options.endpoints);
  for (const text of endpoints) parseEndpoint(text);
  const descriptors = options.descriptors ?? [];
  const watch = texts('watch', options.watch);
  const { cwd = process.cwd() } = options;
  for (const path of watch) {
    if (!existsSync(resolve(cwd, path))) throw new RangeError(`There is no file or directory ${path} to watch`);
  }
  return {
    command,
    endpoints,
    descriptors,
    learn: endpoints.length === 0 && descriptors.length === 0,
    cwd,
    environment: options.env ?? process.env,
    graceMs: time('graceMs', options.graceMs, 10_000),
    stopSignal: oneOf('stopSignal', options.stopSignal ?? 'SIGTERM', stopSignals),
    lingerMs: time('lingerMs', options.lingerMs, 1_000),
    readyTimeoutMs: time('readyTimeoutMs', options.readyTimeoutMs, 30_000),
    readyBy: oneOf('readyBy', options.readyBy ?? 'auto', readyWays),
    assumeReadyMs: options.assumeReadyMs == null ? null : time('assumeReadyMs', options.assumeReadyMs, 0),
    overlap: options.overlap ?? true,
    handOff: options.handOff ?? false,
    takeOver: options.takeOver ?? false,
    watch,
    mostFailures: time('mostFailures', options.mostFailures, 10),
    backlog: time('backlog', options.backlog, 4_096),
    stderr: options.stderr ?? null,
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((part) => typeof part === 'string');
}

function texts(name: string, value: readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  if (!isTexts(value))
    throw new TypeError(
      `${name} must be an array of strings, not ${Array.isArray(value) ? 'one with other values' : nameOf(value)}`,
    );
  return value;
}

function oneOf<T extends string>(name: string, value: T, values: readonly T[]): T {
  if (!values.includes(value))
    throw new RangeError(`${name} must be one of ${values.join(', ')}, not ${nameOf(value)}`);
  return value;
}

function time(name: string, value: number | undefined, otherwise: number): number {
  const result = value ?? otherwise;
  if (typeof result !== 'number' || !(result >= 0 && result <= mostMs))
    throw new RangeError(`${name} must be a number from 0 to ${mostMs}, not ${String(result)}`);
  return result;
}
