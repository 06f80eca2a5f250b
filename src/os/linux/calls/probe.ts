/**
 * The kernel's own answer: a socket made only to be bound with exactly the planned options, and closed at once.
 * It never listens, so it takes no client's connection, and a server that sets SO_REUSEADDR is not disturbed by it.
 */

import { familyOf } from '../../../model/address.ts';
import type { BindOptions, InetEndpoint, Request } from '../../../model/endpoint.ts';
import type { Gap, Probe } from '../../../model/facts.ts';
import { isNativeError } from '../../errors.ts';
import { bindByNode, isShortage } from '../../node-bind.ts';
import { hasLibc } from './libc.ts';
import { sockets } from './socket.ts';

/**
 * Null for a Unix path: trying would leave a file. Also null for an abstract name, which one microsecond would take from its server.
 * Null as well where it could not be tried; then `gaps` is told why.
 */
export function probe(request: Request, gaps: Gap[] = []): Probe | null {
  const { endpoint, options } = request;
  if (endpoint.protocol === 'unix') return null;
  const answer = hasLibc() ? tryBind(endpoint, options) : bindByNode(endpoint, options);
  if ('errno' in answer) return answer;
  gaps.push({
    what: 'Whether the kernel allows this bind could not be tried',
    why: answer.why,
    hint: isShortage(answer.why)
      ? 'This process has no descriptors or memory left: raise its limits (ulimit -n), or run it again later'
      : 'Install koffi with its binary for this platform',
  });
  return null;
}

/** Shortage says nothing about the port. Every other refusal is what listen would report. */
function tryBind(endpoint: InetEndpoint, options: BindOptions): Probe | { readonly why: string } {
  const family = familyOf(endpoint.address);
  let fd: number;
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
