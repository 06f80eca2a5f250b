/** What one address did, as a word and as the errno that a client gets. */
import type { Evidence, InetEvidence, Reply, UnixEvidence } from './evidence.ts';
import type { AddressOutcome } from './report.ts';

export interface Outcome {
  readonly outcome: AddressOutcome;
  /** `ETIMEDOUT` stands for a hang, `ECONNRESET` for a connection that ended before anything came. */
  readonly errno: string | null;
  readonly elapsedMs: number | null;
}

/** The outcome of an address, from the last thing that was tried on it. */
export function outcomeOf(evidence: Evidence): Outcome {
  if (evidence.protocol === 'unix') return ofUnix(evidence);
  if (evidence.protocol === 'udp') return ofUdp(evidence);
  return ofTcp(evidence);
}

function ofTcp(evidence: InetEvidence): Outcome {
  const attempt = evidence.again ?? evidence.attempt;
  if (attempt === null) return untried(evidence);
  const { errno, elapsedMs } = attempt;
  if (errno !== null) return { outcome: ofErrno(errno), errno, elapsedMs };
  const { connected } = evidence;
  if (connected === null) return { outcome: 'accepted', errno: null, elapsedMs };
  const said = ofReply(connected.request ?? connected.first);
  if (said !== null && (said.outcome !== 'no-answer' || connected.request !== null)) return { ...said, elapsedMs };
  // The kernel took it, and its process has not.
  if (connected.mirror !== null && connected.mirror.inode === 0)
    return { outcome: 'no-answer', errno: 'ETIMEDOUT', elapsedMs };
  return { outcome: 'accepted', errno: null, elapsedMs };
}

function ofUdp(evidence: InetEvidence): Outcome {
  const datagram = 'datagram' in evidence ? (evidence.datagram as { errno: string | null; reply: Reply | null }) : null;
  if (datagram === null) return untried(evidence);
  if (datagram.errno !== null)
    return { outcome: ofErrno(datagram.errno), errno: datagram.errno, elapsedMs: datagram.reply?.elapsedMs ?? null };
  const answered = datagram.reply?.kind === 'bytes';
  // Silence is what a UDP server may do with what it did not understand.
  return { outcome: answered ? 'answered' : 'accepted', errno: null, elapsedMs: datagram.reply?.elapsedMs ?? null };
}

function ofUnix(evidence: UnixEvidence): Outcome {
  const { attempt } = evidence;
  if (attempt === null) return { outcome: 'not-tried', errno: null, elapsedMs: null };
  const { errno, elapsedMs } = attempt;
  if (errno !== null) return { outcome: ofErrno(errno), errno, elapsedMs };
  const said = ofReply(evidence.request ?? evidence.first);
  if (said !== null && (said.outcome !== 'no-answer' || evidence.request !== null)) return { ...said, elapsedMs };
  return { outcome: 'accepted', errno: null, elapsedMs };
}

/** Nothing was sent: what the kernel has said before, or what it would do with a connection. */
function untried({ before, ours, protocol }: InetEvidence): Outcome {
  const errno = before.dryRun?.errno ?? null;
  if (errno !== null) return { outcome: 'failed', errno, elapsedMs: null };
  return {
    outcome: 'not-tried',
    errno: ours === true && protocol === 'tcp' ? foreseen(before) : null,
    elapsedMs: null,
  };
}

/** A full queue drops, and a port without a listener refuses, where nothing else is in between. */
function foreseen({ lookup }: InetEvidence['before']): string | null {
  if (lookup === null) return null;
  if (lookup.found === null) return 'ECONNREFUSED';
  const { queue } = lookup.found;
  return queue !== null && queue.waiting > queue.limit ? 'ETIMEDOUT' : null;
}

function ofReply(reply: Reply | null): Pick<Outcome, 'outcome' | 'errno'> | null {
  switch (reply?.kind) {
    case 'bytes':
      return { outcome: 'answered', errno: null };
    case 'end':
    case 'reset':
      return { outcome: 'reset', errno: 'ECONNRESET' };
    case 'silence':
      return { outcome: 'no-answer', errno: 'ETIMEDOUT' };
    default:
      return null;
  }
}

function ofErrno(errno: string): AddressOutcome {
  switch (errno) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ECONNRESET':
      return 'reset';
    case 'ETIMEDOUT':
      return 'no-answer';
    default:
      return 'failed';
  }
}
