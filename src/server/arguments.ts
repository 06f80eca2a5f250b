/**
 * What callers hand in, checked: every message says what was given and what would be right.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { Server } from 'node:net';
import { show } from '../check.ts';

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

function hasServer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && isServer((value as { server?: unknown }).server);
}
