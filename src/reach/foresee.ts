/**
 * What a client of an endpoint of this machine would meet, told without a packet: for those that wait for a server, or have just failed to
 * connect to one.
 */
import type { ReachVerdict } from '../causes/connect/index.ts';
import { isWildcard } from '../model/address.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Target } from '../model/reach/target.ts';
import { isSystemError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import { reachAs } from './reach.ts';

/** A look must not hold up who asks. */
const lookMs = 3_000;

/** Why a client would not get through now; null where nothing is known that stops it. A system that cannot be read is no reason. */
export async function foresee(endpoint: Endpoint, os: Os, signal?: AbortSignal): Promise<ReachVerdict | null> {
  const target: Target =
    endpoint.protocol === 'unix'
      ? { ...endpoint, speaks: null }
      : { protocol: endpoint.protocol, host: hostOf(endpoint.address), port: endpoint.port, speaks: null };
  try {
    const plan = {
      parsed: { target, path: '/', url: false },
      request: false,
      connect: false,
      timeoutMs: lookMs,
      patient: false,
      signal,
    };
    const { reachable, verdict } = await reachAs(plan, os);
    return reachable === false ? verdict : null;
  } catch (error) {
    // It only adds a reason: without one the answer stands as it is.
    if (isSystemError(error) || signal?.aborted) return null;
    throw error;
  }
}

/** A server on every address is reached over the loopback. */
function hostOf(address: string): string {
  return isWildcard(address) ? '127.0.0.1' : address;
}
