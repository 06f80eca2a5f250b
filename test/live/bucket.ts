/**
 * The bind bucket's cache of Linux 6.8 and later, which lets some SO_REUSEPORT binds skip the conflict check: what the
 * rules cannot see of a port's history, written out so that the live test can be exact
 * (net/ipv4/inet_connection_sock.c: inet_csk_update_fastreuse, sk_reuseport_match).
 */

import type { Binder } from '../../src/model/rules/rules.ts';
import { spanOf } from '../../src/model/rules/span.ts';

export class Bucket {
  #last: Binder | null = null;

  /** Whether the check is skipped for this socket. */
  skips(socket: Binder): boolean {
    const last = this.#last;
    return last !== null && socket.reusePort && socket.uid === last.uid && covers(last, socket);
  }

  /** After every bind and every listen that succeeded. */
  remember(socket: Binder): void {
    if (!socket.reusePort) this.#last = null;
    else if (!this.skips(socket)) this.#last = { ...socket };
  }

  /** The last socket left the port: the kernel frees the bucket. */
  forget(): void {
    this.#last = null;
  }
}

/** The remembered address is the same, or a wildcard over it. */
function covers(last: Binder, socket: Binder): boolean {
  const a = spanOf(last);
  const b = spanOf(socket);
  if (last.family === 4) {
    // Compares IPv4 addresses only: a socket on `::` counts as 0.0.0.0 there, one on a real IPv6 address as none.
    if (socket.family === 6 && socket.v6Only) return false;
    return a.v4 === '*' || a.v4 === b.v4;
  }
  if (a.v6 === '*') return b.v6 !== null || a.v4 === '*';
  if (a.v6 !== null) return a.v6 === b.v6;
  // The remembered one is mapped: only mapped and IPv4 sockets compare with it.
  return b.v6 === null && !socket.v6Only && (a.v4 === '*' || a.v4 === b.v4);
}
