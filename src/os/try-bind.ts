/**
 * The kernel's own answer: a socket made only to be bound with exactly the planned options, and closed at once.
 * It never listens, so it takes no client's connection, and a server that sets SO_REUSEADDR is not disturbed by it.
 */
import { familyOf } from '../model/address.ts';
import type { BindOptions, InetEndpoint } from '../model/endpoint.ts';
import type { Probe } from '../model/facts.ts';
import { isNativeError } from './errors.ts';
import { isShortage } from './node-bind.ts';
import type { SocketHandle, Sockets } from './sockets.ts';

/** Shortage says nothing about the port. Every other refusal is what listen would report. */
export function tryBind(
  sockets: Sockets,
  endpoint: InetEndpoint,
  options: BindOptions,
): Probe | { readonly why: string } {
  const family = familyOf(endpoint.address);
  let fd: SocketHandle;
  try {
    fd = sockets.open(endpoint.protocol, family);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    // A machine without IPv6 refuses the socket itself, and Node would report just that.
    return isShortage(error.code) ? { why: error.code } : { errno: error.code, port: null };
  }
  try {
    sockets.setBindOptions(fd, family, options);
    sockets.bind(fd, endpoint);
    const address = sockets.address(fd);
    return { errno: null, port: address.protocol === 'unix' ? null : address.port };
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return isShortage(error.code) ? { why: error.code } : { errno: error.code, port: endpoint.port };
  } finally {
    sockets.close(fd);
  }
}
