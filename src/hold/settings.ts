/**
 * The options of hold, and what it tells while it runs.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { readEndpoint, type WhyEndpoint } from '../ask/request.ts';
import { backlogNumber, checkFlag, checkNames, milliseconds, nameOf, portNumber, show } from '../check.ts';
import type { Endpoint, ParsedEndpoint } from '../model/endpoint.ts';
import { escapeText } from '../model/text.ts';
import type { Exit } from './exit.ts';
import { inspectorOf, remarksOn } from './programs.ts';
import type { Evidence } from './ready.ts';
import type { DrainCounts } from './wire/messages.ts';
import { type ReadyBy, readyWays } from './wire/passed.ts';

/** Signals by which servers let themselves be asked to finish. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGWINCH';
/** @internal */
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
  /** What `why` takes, and port 0 for any free one, which the command gets as PORT: `3000`, `'127.0.0.1:3000'`, `'udp/53'`, `'./app.sock'`, `{ port, host }`. Empty learns the port from a Node program when it first listens. @default [] */
  readonly endpoints?: readonly WhyEndpoint[] | undefined;
  /** Listening sockets that this process has already, such as those of systemd (sd_listen_fds(3)); hold owns them from now on. @default [] */
  readonly descriptors?: readonly number[] | undefined;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** @default process.cwd() */
  readonly cwd?: string | undefined;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** How long open connections and the old program have to end before SIGKILL. @default 10000 */
  readonly graceMs?: number | undefined;
  /** What asks the program to finish, such as SIGQUIT for nginx. @default 'SIGTERM' */
  readonly stopSignal?: StopSignal | undefined;
  /**
   * How long hold goes on accepting after SIGTERM, while `/readyz` says no and answers say `Connection: close`, so that load balancers and
   * orchestrators have taken the server out before it refuses anybody. `auto` learns it from those who ask `/readyz`, as `close` does. @default 0
   */
  readonly lameDuckMs?: number | 'auto' | undefined;
  /** A port for `/livez` and `/readyz`, which hold answers itself. @default null */
  readonly healthPort?: number | null | undefined;
  /** A port for `/metrics` in the text format of Prometheus; may be that of the health. @default null */
  readonly metricsPort?: number | null | undefined;
  /** How long a connection must be silent before it is closed while draining. @default 1000 */
  readonly lingerMs?: number | undefined;
  /** How long a new process may take to become ready before hold stops it and the old one keeps serving. @default 30000 */
  readonly readyTimeoutMs?: number | undefined;
  /**
   * The first fixed port that the program asks for is served on the first held one, also in every process that it starts: `rebind lease`. Ports
   * that tools open beside it keep their numbers. @default false
   */
  readonly lease?: boolean | undefined;
  /** What counts as ready. @default 'auto' */
  readonly readyBy?: ReadyBy | undefined;
  /** Takes a program that lives this long as ready, without any evidence. @default null */
  readonly assumeReadyMs?: number | null | undefined;
  /** False stops the old program before the new one starts: connections wait meanwhile. @default true */
  readonly overlap?: boolean | undefined;
  /** Moves idle keep-alive connections of plain HTTP/1.1 to the new Node program, instead of closing them. @default false */
  readonly handOff?: boolean | undefined;
  /** When somebody listens on the endpoint already: start on a copy of its socket, and ask it to finish when we are ready. @default false */
  readonly takeOver?: boolean | undefined;
  /** With `takeOver`: also from a program that `free` would ask about, such as one that serves other ports, too. @default false */
  readonly yes?: boolean | undefined;
  /** Files and directories whose change restarts. @default [] */
  readonly watch?: readonly string[] | undefined;
  /** Crashes in a row after which hold lets go of the port. @default 10 */
  readonly mostFailures?: number | undefined;
  /** The length of the queue; the kernel limits it to net.core.somaxconn. @default 4096 */
  readonly backlog?: number | undefined;
  /** Gets the command's stderr, so that its last lines can be shown; null lets the command write to ours. @default null */
  readonly stderr?: NodeJS.WritableStream | null | undefined;
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
  /** The new process was stopped and the old one keeps serving. */
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
  /** The lease stands for this port of the program. */
  leased: [{ readonly asked: number; readonly port: number }];
  /** The former holder of a socket that was taken over has ended, or did not. */
  tookOver: [{ readonly pid: number; readonly ended: boolean }];
  changed: [{ readonly path: string }];
  note: [{ readonly sentence: string }];
  stopping: [{ readonly signal: NodeJS.Signals }];
  /** It was asked to stop, and goes on accepting for this long. */
  leaving: [{ readonly generation: number; readonly forMs: number }];
  end: [{ readonly status: number }];
}

type Complete<T> = { readonly [Name in keyof T]-?: Exclude<T[Name], undefined> };

/** @internal Complete and checked. */
export interface Settings extends Complete<Omit<HoldOptions, 'env' | 'endpoints'>> {
  readonly endpoints: readonly ParsedEndpoint[];
  readonly environment: NodeJS.ProcessEnv;
  readonly learn: boolean;
  /** Sentences about this command that are worth saying at once. */
  readonly remarks: readonly string[];
}

/** @internal What holds where nothing is said. */
export const defaults = {
  graceMs: 10_000,
  stopSignal: 'SIGTERM',
  lingerMs: 1_000,
  readyTimeoutMs: 30_000,
  readyBy: 'auto',
  mostFailures: 10,
  backlog: 4_096,
} as const satisfies Partial<HoldOptions>;

const optionNames = Object.keys({
  endpoints: true,
  descriptors: true,
  command: true,
  cwd: true,
  env: true,
  graceMs: true,
  stopSignal: true,
  lease: true,
  lameDuckMs: true,
  healthPort: true,
  metricsPort: true,
  lingerMs: true,
  readyTimeoutMs: true,
  readyBy: true,
  assumeReadyMs: true,
  overlap: true,
  handOff: true,
  takeOver: true,
  yes: true,
  watch: true,
  mostFailures: true,
  backlog: true,
  stderr: true,
} satisfies Record<keyof HoldOptions, true>);

/** @internal An endpoint whose port may be 0: then the kernel chooses, and the command gets the port as PORT. @throws {TypeError} {RangeError} */
export function readHeldEndpoint(endpoint: WhyEndpoint): ParsedEndpoint {
  const isAny = typeof endpoint === 'string' && /^((tcp|udp)\/)?([^/]*:)?0$/.test(endpoint);
  if (!isAny) return readEndpoint(endpoint);
  const read = readEndpoint(endpoint.replace(/0$/, '1'));
  return read.protocol === 'unix' ? read : { ...read, port: 0 };
}

/** @internal @throws {TypeError} @throws {RangeError} */
export function readSettings(options: HoldOptions): Settings {
  checkNames('hold()', options, optionNames);
  const { command } = options;
  if (!isTexts(command) || command.length === 0)
    throw new TypeError('hold needs a command: an array of strings, the program first');
  if (command[0] === '') throw new TypeError('hold needs a command: the name of the program is empty');
  const endpoints = list('endpoints', options.endpoints).map(readHeldEndpoint);
  const descriptors = list('descriptors', options.descriptors).map((fd) => whole('descriptors', fd, 0));
  const watch = texts('watch', options.watch);
  const { cwd = process.cwd(), env = process.env } = options;
  if (typeof cwd !== 'string') throw new TypeError(`cwd is a text, not ${show(cwd)}`);
  if (typeof env !== 'object' || env === null) throw new TypeError(`env is an object, not ${show(env)}`);
  for (const name of ['overlap', 'handOff', 'takeOver', 'lease', 'yes'] as const) checkFlag(name, options[name]);
  for (const path of watch) {
    if (!existsSync(resolve(cwd, path)))
      throw new RangeError(`There is no file or directory ${escapeText(path)} to watch`);
  }
  return {
    command,
    endpoints,
    descriptors,
    learn: endpoints.length === 0 && descriptors.length === 0,
    cwd,
    environment: env,
    graceMs: milliseconds('graceMs', options.graceMs, defaults.graceMs),
    stopSignal: oneOf('stopSignal', options.stopSignal ?? defaults.stopSignal, stopSignals),
    lease: options.lease ?? false,
    lameDuckMs: options.lameDuckMs === 'auto' ? 'auto' : milliseconds('lameDuckMs', options.lameDuckMs, 0),
    healthPort: portBeside(endpoints, options.healthPort, '/livez and /readyz'),
    metricsPort: portBeside(endpoints, options.metricsPort, '/metrics'),
    lingerMs: milliseconds('lingerMs', options.lingerMs, defaults.lingerMs),
    readyTimeoutMs: milliseconds('readyTimeoutMs', options.readyTimeoutMs, defaults.readyTimeoutMs),
    readyBy: oneOf('readyBy', options.readyBy ?? defaults.readyBy, readyWays),
    assumeReadyMs: options.assumeReadyMs == null ? null : milliseconds('assumeReadyMs', options.assumeReadyMs, 0),
    overlap: options.overlap ?? inspectorOf(command, env) === null,
    handOff: options.handOff ?? false,
    takeOver: options.takeOver ?? false,
    yes: options.yes ?? false,
    watch,
    mostFailures: whole('mostFailures', options.mostFailures ?? defaults.mostFailures, 0),
    backlog: backlogNumber(options.backlog ?? defaults.backlog),
    stderr: options.stderr ?? null,
    remarks: remarksOn(command, env, endpoints, options.overlap !== undefined),
  };
}

/** A port of hold's own, which is none that it holds for the command. @throws {RangeError} */
function portBeside(
  endpoints: readonly ParsedEndpoint[],
  port: number | null | undefined,
  answers: string,
): number | null {
  if (port == null) return null;
  const own = portNumber(port);
  if (own !== 0 && endpoints.some((endpoint) => endpoint.protocol === 'tcp' && endpoint.port === own))
    throw new RangeError(`Port ${own} is held for the command, so ${answers} must be answered on another port`);
  return own;
}

function list<T>(name: string, value: readonly T[] | undefined): readonly T[] {
  if (value !== undefined && !Array.isArray(value)) throw new TypeError(`${name} must be an array, not ${show(value)}`);
  return value ?? [];
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

/** @throws {RangeError} */
function whole(name: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`${name} is a whole number from ${least}, not ${show(value)}`);
}
