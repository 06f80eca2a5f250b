/**
 * One attempt to connect by a socket of our own, with what the kernel counted meanwhile and who refused it. It is a client like any other:
 * a server sees it. It asks for what Node's own sockets cannot: the error queue (error-queue.ts), the TTL, the size of segments (ip(7), tcp(7)).
 */

import { familyOf } from '../../../model/address.ts';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { Attempt, Refusal } from '../../../model/reach/evidence.ts';
import { isNativeError } from '../../errors.ts';
import type { AttemptOptions, ReachConnection } from '../../reaching.ts';
import { uptimeMs } from '../../uptime.ts';
import { keepRefusals, readRefusals } from '../calls/error-queue.ts';
import { events } from '../calls/events.ts';
import { intOption, type NativeOption, peerAddress, setNative, socketError, sockets } from '../calls/socket.ts';
import { type Counts, growthOf, readCounters } from '../proc/counters.ts';
import type { Proc } from '../proc/proc.ts';
import { connection } from './connection.ts';
import { listenersOf } from './port-sockets.ts';

const IP_TTL: NativeOption = { level: 0, name: 2 };
const IPV6_UNICAST_HOPS: NativeOption = { level: 41, name: 16 };
const TCP_MAXSEG: NativeOption = { level: 6, name: 2 };

/** Never longer than its timeout, and what the reading takes. */
export async function attemptOnce(
  proc: Proc,
  to: InetEndpoint,
  options: AttemptOptions,
  gaps: Gap[],
): Promise<{ readonly attempt: Attempt; readonly connection: ReachConnection | null }> {
  const before = readCounters(proc);
  const began = uptimeMs();
  const outcome = await connectOnce(to, options, gaps);
  const elapsedMs = uptimeMs() - began;
  const attempt: Attempt = {
    errno: outcome.errno,
    by: outcome.by,
    elapsedMs,
    local: outcome.fd === null ? null : localOf(outcome.fd),
    refusals: outcome.refusals,
    counters: grownSince(proc, before),
    sockets: listenersOf(to, gaps),
  };
  if (outcome.fd !== null && outcome.errno === null) return { attempt, connection: connection(outcome.fd) };
  if (outcome.fd !== null) sockets.close(outcome.fd);
  return { attempt, connection: null };
}

/** How much the kernel counted since. */
export function grownSince(proc: Proc, before: Counts): Record<string, number> {
  return growthOf(before, readCounters(proc));
}

export interface Outcome {
  /** Null when no socket was made. Whoever got it closes it. */
  readonly fd: number | null;
  readonly errno: string | null;
  readonly by: Attempt['by'];
  readonly refusals: readonly Refusal[];
}

/** Connects, and waits for what comes of it. */
export async function connectOnce(to: InetEndpoint, options: AttemptOptions, gaps: Gap[]): Promise<Outcome> {
  const family = familyOf(to.address);
  let fd: number;
  try {
    fd = sockets.open(to.protocol, family);
  } catch (error) {
    if (isNativeError(error)) return { fd: null, errno: error.code, by: 'socket', refusals: [] };
    throw error;
  }
  try {
    prepare(fd, family, options, gaps);
    try {
      if (sockets.connect(fd, to) === 'done') return { fd, errno: null, by: null, refusals: [] };
    } catch (error) {
      if (isNativeError(error)) return { fd, errno: error.code, by: 'connect', refusals: readRefusals(fd) };
      throw error;
    }
    const { timeoutMs, signal } = options;
    const { kind } = await events.wait({ writable: [fd], timeoutMs, ...(signal !== undefined && { signal }) });
    // A refusal is in the queue before the socket reports it.
    const refusals = readRefusals(fd);
    const errno = kind === 'timeout' ? 'ETIMEDOUT' : (socketError(fd) ?? refusedSoon(fd, refusals));
    return { fd, errno, by: errno === null || kind === 'timeout' ? null : 'later', refusals };
  } catch (error) {
    sockets.close(fd);
    throw error;
  }
}

/** The error queue wakes us a moment before the socket has its error (tcp_v4_err): it is neither connected nor refused yet. */
function refusedSoon(fd: number, refusals: readonly Refusal[]): string | null {
  try {
    peerAddress(fd);
    return null;
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return socketError(fd) ?? refusals[0]?.errno ?? readRefusals(fd)[0]?.errno ?? error.code;
  }
}

function prepare(fd: number, family: 4 | 6, options: AttemptOptions, gaps: Gap[]): void {
  if (!keepRefusals(fd, family))
    gaps.push({
      what: 'Who refuses a connection cannot be seen',
      why: 'ENOPROTOOPT',
      hint: 'The kernel keeps no refusals for this socket (IP_RECVERR); run it outside of the sandbox',
    });
  const set = (option: NativeOption, value: number, what: string): void => {
    try {
      setNative(fd, option, intOption(value));
    } catch (error) {
      if (!isNativeError(error)) throw error;
      gaps.push({ what, why: error.code, hint: 'Run it outside of the sandbox' });
    }
  };
  const { ttl, segmentBytes } = options;
  if (ttl !== undefined)
    set(family === 4 ? IP_TTL : IPV6_UNICAST_HOPS, ttl, 'How far the packets come cannot be limited');
  if (segmentBytes !== undefined) set(TCP_MAXSEG, segmentBytes, 'The size of segments cannot be set');
}

/** Null where the kernel gave it no address. */
export function localOf(fd: number): Attempt['local'] {
  try {
    const own = sockets.address(fd);
    return own.protocol === 'unix' ? null : { address: own.address, port: own.port };
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  }
}
