/**
 * Whether a client within the program is refused by a held port. Without hold it would be while no server listens there, and programs look so
 * whether their port is free, or whether their server is closed. Other clients wait in the queue.
 */
import { isMainThread } from 'node:worker_threads';
import type { Passed, PassedSocket } from '../hold/wire/passed.ts';
import { parseIpv6, shortestIpv6 } from '../model/address.ts';
import { isServed } from './ask-for-socket.ts';
import type { Claims } from './claims.ts';

export class Refusals {
  /** True once this process has started another one, which may serve on a descriptor or a handle that it was given. */
  hasChildren = !isMainThread;
  readonly #passed: Passed;
  readonly #claims: Claims;
  /** Served by another process of the run, as far as was seen: it is not asked for again. */
  readonly #served = new Set<string>();

  constructor(passed: Passed, claims: Claims) {
    this.#passed = passed;
    this.#claims = claims;
  }

  /** @param sockets The held ones that the client would reach. */
  refuses(sockets: readonly PassedSocket[]): boolean {
    const { control, readyBy } = this.#passed;
    // Where the program says itself that it is ready, it may first have to reach a server that says nothing to hold.
    if (control === '' || (readyBy !== 'auto' && readyBy !== 'listening')) return false;
    return sockets.length > 0 && !sockets.some(({ identity }) => this.#isServed(identity));
  }

  #isServed(identity: string): boolean {
    if (this.#claims.has(identity) || this.#served.has(identity)) return true;
    if (this.#claims.had(identity) && this.hasChildren) return true;
    // The claim is made before the server listens, and what hold hears comes later.
    const is = this.#claims.isTaken(identity) || isServed(this.#passed, identity);
    if (is) this.#served.add(identity);
    return is;
  }
}

/** True when a client of this address reaches a socket that is bound to the other one. Of all addresses of a wildcard only those that are surely of this machine. */
export function isReached(bound: string, address: string): boolean {
  const target = shortestIpv6(address);
  if (shortestIpv6(bound) === target) return true;
  if (bound === '0.0.0.0') return isLoopback4(target);
  return bound === '::' && (isLoopback4(target) || target === '::1' || isLoopback4(target.replace(/^::ffff:/, '')));
}

function isLoopback4(address: string): boolean {
  return parseIpv6(address) === null && (address.startsWith('127.') || address === '0.0.0.0');
}
