/**
 * What `health` is asked for, checked before anything is opened.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server as NetServer } from 'node:net';
import { checkNames, milliseconds, portNumber, show, withCode } from '../check.ts';
import { isServer, isUdpSocket, serverExpected } from './arguments.ts';

/** What a program can serve with. */
type AnyServer = NetServer | UdpSocket;

/** Whose health it is. A function where the server is made later, as in express; it may return nothing until then. */
export type HealthServers =
  | AnyServer
  | readonly AnyServer[]
  | (() => AnyServer | readonly AnyServer[] | null | undefined);

/** Where health is told, and what belongs to it. */
export interface HealthOptions {
  /** A port for `/livez` and `/readyz` alone, which answers to the end of the process. 0 for any free one. @default none: use the handler */
  readonly port?: number | string;
  /** @default every address, because orchestrators ask from outside */
  readonly host?: string;
  /**
   * What must be well for the program to be ready, by name. One that throws, rejects, resolves with false or takes longer than `checkMs` is not,
   * and the answer names it. Each runs once at a time, however many ask.
   */
  readonly checks?: Readonly<Record<string, () => unknown>>;
  /** How long a check may take. @default 1000 */
  readonly checkMs?: number;
  /** What `/readyz` answers while the server closes: 503, or 404 for HAProxy's `http-check disable-on-404`. @default 503 */
  readonly closingStatus?: 503 | 404;
  /** A port for HAProxy's agent-check (`agent-check agent-port 9001 agent-inter 500ms`), which hears of a closing server at its next question. */
  readonly agentPort?: number | string;
  /** The weight in percent that the agent tells. Below 100 only where the server's line in HAProxy says `weight 100`. @default 100 */
  readonly agentWeight?: () => number;
}

/** Where it is told. */
export interface Health extends AsyncDisposable {
  /** The port of `/livez` and `/readyz`, or null without one. */
  readonly port: number | null;
  /** HAProxy's, or null without one. */
  readonly agentPort: number | null;
  /** What `/readyz` would say now: null when ready, else why not. */
  reason(): Promise<string | null>;
  /**
   * Answers `/livez` and `/readyz`, and leaves other paths to `next`. Without `next` it tells whether it answers.
   */
  readonly handler: (request: IncomingMessage, response: ServerResponse, next?: () => void) => boolean;
  /** Closes both ports. Without it they are open to the end of the process, which they do not keep alive. */
  close(): Promise<void>;
}

/** The options, read. */
export interface HealthPlan {
  readonly servers: () => readonly AnyServer[];
  readonly port: number | null;
  readonly host: string | undefined;
  readonly checks: readonly (readonly [name: string, check: () => unknown])[];
  readonly checkMs: number;
  readonly closingStatus: 503 | 404;
  readonly agentPort: number | null;
  readonly agentWeight: () => number;
}

const names = ['port', 'host', 'checks', 'checkMs', 'closingStatus', 'agentPort', 'agentWeight'];

/** @throws {TypeError} {RangeError} with what would be right. */
export function readHealth(servers: HealthServers, options: HealthOptions): HealthPlan {
  checkNames('health()', options, names);
  const { port, host, checks = {}, closingStatus = 503, agentPort, agentWeight = () => 100 } = options;
  if (host !== undefined && typeof host !== 'string') throw invalid(`host is an address or a name, not ${show(host)}`);
  if (closingStatus !== 503 && closingStatus !== 404)
    throw invalid(`closingStatus is 503 or 404, not ${show(closingStatus)}`);
  if (typeof agentWeight !== 'function') throw invalid(`agentWeight is a function, not ${show(agentWeight)}`);
  if (typeof checks !== 'object' || checks === null || Array.isArray(checks))
    throw invalid(`checks is an object of functions, such as { database: () => database.ping() }, not ${show(checks)}`);
  const list = Object.entries(checks);
  for (const [name, check] of list)
    if (typeof check !== 'function') throw invalid(`The check ${show(name)} is a function, not ${show(check)}`);
  return {
    servers: readServers(servers),
    port: port === undefined ? null : portNumber(port),
    host,
    checks: list,
    checkMs: milliseconds('checkMs', options.checkMs, 1000),
    closingStatus,
    agentPort: agentPort === undefined ? null : portNumber(agentPort),
    agentWeight,
  };
}

function readServers(servers: HealthServers): () => readonly AnyServer[] {
  const listed = (value: unknown): readonly AnyServer[] => {
    const all = Array.isArray(value) ? (value as readonly unknown[]) : [value];
    for (const server of all) if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('health', server);
    return all as readonly AnyServer[];
  };
  if (typeof servers === 'function' && !isServer(servers))
    return () => {
      const now = servers();
      return now === null || now === undefined ? [] : listed(now);
    };
  const all = listed(servers);
  return () => all;
}

function invalid(sentence: string): TypeError {
  return withCode(new TypeError(sentence), 'ERR_INVALID_ARG_VALUE');
}
