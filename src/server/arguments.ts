/**
 * What callers hand in, checked: every message says what was given and what would be right.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { Server } from 'node:net';
import { inspect } from 'node:util';

export { checkOptions } from '../model/options.ts';

export function isServer(value: unknown): value is Server {
  return value instanceof Server;
}

export function isUdpSocket(value: unknown): value is UdpSocket {
  // By its shape: asking for the class would load Node's UDP for everybody.
  return (
    value instanceof EventEmitter && 'bind' in value && /^udp[46]$/.test(String((value as { type?: unknown }).type))
  );
}

/** For a value that is no server: frameworks keep theirs somewhere, and the message says where. */
export function serverExpected(verb: string, given: unknown): TypeError {
  const where =
    typeof given === 'function'
      ? '. A request handler, such as an express or koa callback, goes into http.createServer(handler) first'
      : hasServer(given)
        ? ". Give its 'server' property"
        : '';
  return new TypeError(
    `${verb}() needs a server that Node made (net, tls, http, https or http2) or a dgram socket, not ${show(given)}${where}`,
  );
}

/** @throws {TypeError} */
export function checkSignal(value: unknown): void {
  // By its shape: test environments bring a class of their own.
  const fits = typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
  if (value !== undefined && !fits)
    throw new TypeError(`signal is an AbortSignal, such as that of an AbortController, not ${show(value)}`);
}

/** @throws {TypeError} */
export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw new TypeError(`${name} is true or false, not ${show(value)}`);
}

/** @throws {RangeError} */
export function backlogNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 0x7fffffff) return value;
  throw new RangeError(`A backlog is a whole number from 1, not ${show(value)}`);
}

/** @throws {RangeError} */
export function milliseconds(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  // setTimeout fires at once for anything longer.
  if (typeof value === 'number' && value >= 0 && value <= 2 ** 31 - 1) return value;
  throw new RangeError(`${name} is a number of milliseconds from 0 to ${2 ** 31 - 1}, not ${show(value)}`);
}

/** @throws {RangeError} */
export function portNumber(value: unknown): number {
  const port = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new RangeError(`A port is a whole number from 0 to 65535, 0 for any free one, not ${show(value)}`);
}

/** One short line of any value. */
export function show(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function hasServer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && isServer((value as { server?: unknown }).server);
}
