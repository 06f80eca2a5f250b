/**
 * The kernel's own answer: a socket made only to be bound with exactly the planned options, and closed at once.
 * It never listens, so it takes no client's connection, and a server that sets SO_REUSEADDR is not disturbed by it.
 */

import { familyOf } from '../../../model/address.ts';
import type { Request } from '../../../model/endpoint.ts';
import type { Probe } from '../../../model/facts.ts';
import { isNativeError } from '../../errors.ts';
import { sockets } from './socket.ts';

/**
 * Null for a Unix path: trying would leave a file. Also null for an abstract name, which one microsecond would take from its server.
 *
 * @throws {UnsupportedError} without koffi. @throws {NativeError} when no socket could be made for want of descriptors or memory.
 */
export function probe({ endpoint, options }: Request): Probe | null {
  if (endpoint.protocol === 'unix') return null;
  const family = familyOf(endpoint.address);
  let fd: number;
  try {
    fd = sockets.open(endpoint.protocol, family);
  } catch (error) {
    // A machine without IPv6 refuses the socket itself, and Node would report just that.
    if (isNativeError(error) && error.code === 'EAFNOSUPPORT') return { errno: error.code, port: null };
    throw error;
  }
  try {
    sockets.setBindOptions(fd, family, options);
    sockets.bind(fd, endpoint);
    const address = sockets.address(fd);
    return { errno: null, port: address.protocol === 'unix' ? null : address.port };
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return { errno: error.code, port: endpoint.port };
  } finally {
    sockets.close(fd);
  }
}
