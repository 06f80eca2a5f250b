/**
 * `adopt(server)`: for programs that want to use the held socket themselves, without the preload.
 */
import type { Server } from 'node:net';
import { receivedDescriptors } from '../hold/wire/listen-fds.ts';
import { type Passed, readPassed } from '../hold/wire/passed.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import { Adoption } from './adoption.ts';
import { Agent } from './agent.ts';
import { install } from './handles.ts';
import { Inherited, identityOf } from './inherited.ts';

/** One adoption in a process, also when the preload and the library are two copies of this package. */
const key = Symbol.for('rebind.adoption');

/** The backlog that systemd asks for unless told otherwise (systemd.socket(5)); the kernel limits it. */
const systemdBacklog = 4_096;

/** @internal What this process was given: by hold, or by a service manager; null when by nobody. */
export function adoption(): Adoption | null {
  const known = (globalThis as { [key]?: Adoption | null })[key];
  if (known !== undefined) return known;
  const passed = readPassed(process.env) ?? passedBySystemd();
  const made =
    passed === null
      ? null
      : new Adoption(passed, new Inherited(passed, (fd) => os().sockets.duplicate(fd)), new Agent(passed));
  // Not enumerable: a program that lists its globals finds its own.
  Object.defineProperty(globalThis, key, { value: made, configurable: true, writable: true });
  if (made !== null) install(made);
  return made;
}

/** Which of the sockets. */
export interface AdoptOptions {
  /** Which of the held sockets, as it was given to hold. @default the first one */
  readonly endpoint?: string;
}

/**
 * Lets a server listen on the socket that `rebind hold`, or systemd, keeps for this process. Under hold it also takes part
 * in restarts: it stops accepting and drains when hold asks.
 *
 * Resolves when it listens, with the endpoint; with null when nobody passed a socket, and the server is untouched.
 *
 * @throws {RangeError} when there is no such endpoint among the held ones.
 * @example
 * ```ts
 * if ((await adopt(server)) === null) server.listen(3000);
 * ```
 */
export async function adopt(server: Server, options: AdoptOptions = {}): Promise<Endpoint | null> {
  const given = adoption();
  if (given === null || given.passed.sockets.length === 0) return null;
  const { sockets } = given.passed;
  const socket =
    options.endpoint === undefined
      ? sockets[0]
      : sockets.find(({ endpoint }) => isCalled(endpoint, options.endpoint ?? ''));
  if (socket === undefined)
    throw new RangeError(
      `No held socket is ${JSON.stringify(options.endpoint)}: there are ${sockets.map(({ endpoint }) => formatEndpoint(endpoint)).join(', ')}`,
    );
  return new Promise((resolve, reject) => {
    const rejected = (error: Error): void => {
      server.off('listening', listening);
      reject(error);
    };
    const listening = (): void => {
      server.off('error', rejected);
      resolve(socket.endpoint);
    };
    server.once('error', rejected);
    server.once('listening', listening);
    given.serve(server, socket);
  });
}

/** By its whole name, or by its port. */
function isCalled(endpoint: Endpoint, name: string): boolean {
  return formatEndpoint(endpoint) === name || (endpoint.protocol !== 'unix' && String(endpoint.port) === name);
}

/** Sockets of systemd.socket(5), as hold would pass them; there is no hold to talk to. */
function passedBySystemd(): Passed | null {
  const descriptors = receivedDescriptors(process.env);
  const sockets = descriptors.flatMap((fd) => {
    const identity = identityOf(fd);
    if (identity === null) return [];
    return [
      { endpoint: os().sockets.address(fd), identity, explicit: true, asked: null, v6Only: false, fileIdentity: null },
    ];
  });
  if (sockets.length === 0) return null;
  return {
    version: 1,
    pid: process.ppid,
    control: '',
    reference: null,
    token: '',
    generation: 1,
    readyBy: 'auto',
    backlog: systemdBacklog,
    copies: 1,
    learn: false,
    lease: false,
    handOff: false,
    sockets,
  };
}
