/**
 * One datagram to a UDP endpoint, and what it got. The socket is connected, so that a refusal comes back to it (udp(7)).
 */
import { familyOf } from '../../../model/address.ts';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { Datagram } from '../../../model/reach/evidence.ts';
import { isNativeError } from '../../errors.ts';
import type { AttemptOptions } from '../../reaching.ts';
import { keepRefusals, readRefusals } from '../calls/error-queue.ts';
import { check, libc } from '../calls/libc.ts';
import { sockets } from '../calls/socket.ts';
import { readCounters } from '../proc/counters.ts';
import type { Proc } from '../proc/proc.ts';
import { grownSince } from './attempt.ts';
import { readReply } from './connection.ts';
import { listenersOf } from './port-sockets.ts';

export async function sendDatagram(
  proc: Proc,
  to: InetEndpoint,
  payload: Uint8Array,
  { timeoutMs, signal }: AttemptOptions,
  gaps: Gap[],
): Promise<Datagram> {
  const before = readCounters(proc);
  const told = await exchange(to, Buffer.from(payload), timeoutMs, signal);
  return { ...told, counters: grownSince(proc, before), sockets: listenersOf(to, gaps) };
}

type Told = Omit<Datagram, 'counters' | 'sockets'>;

async function exchange(
  to: InetEndpoint,
  payload: Buffer,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Told> {
  let fd: number | null = null;
  try {
    const family = familyOf(to.address);
    fd = sockets.open('udp', family);
    keepRefusals(fd, family);
    sockets.connect(fd, to);
    check('sendto', libc().sendto(fd, payload, payload.length, 0, null, 0));
  } catch (error) {
    if (!isNativeError(error)) throw error;
    if (fd !== null) sockets.close(fd);
    return { errno: error.code, by: 'send', refusals: [], reply: null };
  }
  try {
    const reply = await readReply(fd, timeoutMs, signal);
    const refusals = readRefusals(fd);
    // A datagram has no end: what ended the wait without bytes was a refusal.
    const errno = reply.kind === 'bytes' || reply.kind === 'silence' ? null : (refusals[0]?.errno ?? 'ECONNREFUSED');
    return { errno, by: errno === null ? null : 'later', refusals, reply: errno === null ? reply : null };
  } finally {
    sockets.close(fd);
  }
}
