/**
 * Everything that is seen of one TCP or UDP address, in the order that sends least: what needs no packet; one connection, closed at once;
 * a second attempt and the walk only after silence.
 */
import type { InetEndpoint } from '../model/endpoint.ts';
import type { Gap } from '../model/facts.ts';
import type {
  Attempt,
  Before,
  Conditions,
  Connected,
  ElsewhereListener,
  Firewall,
  Hop,
  InetEvidence,
  Neighbour,
  PortSocket,
  Reply,
  UdpEvidence,
} from '../model/reach/evidence.ts';
import { forwardedTo } from '../model/reach/forwarded.ts';
import { dropsOf, lostOnTheWay } from '../model/reach/path.ts';
import type { ReachConnection, Reaching } from '../os/reaching.ts';

/** What is asked of one address. */
export interface Probe {
  readonly connect: boolean;
  /** What is sent once it stands; null sends nothing. */
  readonly request: Uint8Array | null;
  /** What is tried on a second connection where the first was closed at once, to see whether TLS is wanted; null does not. */
  readonly secure: Uint8Array | null;
  /** A slow answer is waited for as long as the time allows. */
  readonly patient: boolean;
  /** Milliseconds that are left for all of it. */
  readonly leftMs: () => number;
  readonly signal: AbortSignal | undefined;
}

/** Nothing on this machine takes longer unless it is stuck; a neighbour that does not answer is reported after 3 s (ip-sysctl.rst, mcast_solicit). */
const attemptMs = { ours: 500, remote: 3_300 };
/** A second attempt: on this machine no answer is rate limited, elsewhere one a second is let through (icmp_ratelimit). */
const againMs = { ours: 350, remote: 1_150 };
/** How long a process may take to accept before it is looked at more closely. */
const acceptMs = 250;
/** How long the first bytes, or an end, are waited for where nothing is sent. A connection that a program accepted says at once if it is closed. */
const firstMs = { accepted: 4, forwarded: 150, remote: 300 };
/** How long an answer may take. */
const replyMs = { ours: 1_000, remote: 3_000 };
/** How long a process is watched to see whether it works. */
const watchMs = 250;
/** A TCP segment that passes every tunnel (RFC 879: the default of IPv4). */
const smallSegment = 536;

/** Sees what can be seen of a TCP address. */
export async function seeTcp(to: InetEndpoint, instruments: Reaching, probe: Probe): Promise<InetEvidence> {
  const gaps: Gap[] = [];
  const before = instruments.before(to, gaps);
  const ours = isOurs(before);
  const seen: Draft = { before, ours, gaps };
  const refusedEarly = isRefusedEarly(before, to);
  // A connection into a full queue would take the place of a client.
  const full = isFull(before.lookup?.found ?? null);
  if (refusedEarly || full || !probe.connect) {
    if (!refusedEarly) await lookWithoutPacket(to, instruments, seen, full);
    return finished('tcp', to, seen);
  }
  const first = await instruments.attempt(to, timesOf(attemptMs, seen, probe), gaps);
  seen.attempt = first.attempt;
  if (first.connection !== null) await useConnection(to, first.connection, instruments, seen, probe);
  else if (first.attempt.errno === 'ETIMEDOUT') await lookAfterSilence(to, instruments, seen, probe);
  else await lookAfterRefusal(to, instruments, seen, probe);
  return finished('tcp', to, seen);
}

/** Sees what can be seen of a UDP endpoint. The datagram is empty unless a request is asked for. */
export async function seeUdp(to: InetEndpoint, instruments: Reaching, probe: Probe): Promise<UdpEvidence> {
  const gaps: Gap[] = [];
  const before = instruments.before(to, gaps);
  const seen: Draft = { before, ours: isOurs(before), gaps };
  const refusedEarly = before.dryRun?.errno !== null && before.dryRun !== null;
  const send = probe.connect && !refusedEarly;
  const payload = probe.request ?? new Uint8Array(0);
  const timeoutMs = Math.min(probe.leftMs(), seen.ours === true ? 350 : 1_200);
  const datagram = send ? await instruments.datagram(to, payload, { timeoutMs, signal: probe.signal }, gaps) : null;
  const sockets = before.sockets ?? [];
  seen.conditions = await conditionsOf(
    sockets,
    to,
    instruments,
    datagram?.reply?.kind === 'silence' ? watchMs : 0,
    gaps,
  );
  if (seen.ours === true && sockets.length === 0) seen.elsewhere = instruments.elsewhere(to, gaps);
  return { ...finished('udp', to, seen), protocol: 'udp', datagram };
}

/** What is collected of one address. */
interface Draft {
  readonly before: Before;
  readonly ours: boolean | null;
  readonly gaps: Gap[];
  attempt?: Attempt;
  again?: Attempt;
  connected?: Connected;
  conditions?: readonly Conditions[];
  elsewhere?: readonly ElsewhereListener[] | null;
  hops?: readonly Hop[] | null;
  neighbourAfter?: Neighbour | null;
  firewall?: Firewall | null;
}

function finished<P extends 'tcp' | 'udp'>(
  protocol: P,
  endpoint: InetEndpoint,
  seen: Draft,
): InetEvidence & { protocol: P } {
  return {
    protocol,
    endpoint,
    ours: seen.ours,
    before: seen.before,
    attempt: seen.attempt ?? null,
    again: seen.again ?? null,
    connected: seen.connected ?? null,
    conditions: seen.conditions ?? [],
    elsewhere: seen.elsewhere ?? null,
    hops: seen.hops ?? null,
    neighbourAfter: seen.neighbourAfter ?? null,
    firewall: seen.firewall ?? null,
    gaps: seen.gaps,
  };
}

async function lookWithoutPacket(to: InetEndpoint, instruments: Reaching, seen: Draft, full: boolean): Promise<void> {
  const { before, ours, gaps } = seen;
  seen.conditions = await conditionsOf(before.sockets ?? [], to, instruments, full ? watchMs : 0, gaps);
  if (ours === true && before.lookup?.found === null) seen.elsewhere = instruments.elsewhere(to, gaps);
}

/** Somebody said no: everything else is known without another packet. */
async function lookAfterRefusal(to: InetEndpoint, instruments: Reaching, seen: Draft, probe: Probe): Promise<void> {
  const { before, ours, gaps } = seen;
  const forged = seen.attempt !== undefined && isForged(seen.attempt, to, ours);
  if (forged) await readRules(to, instruments, seen, probe);
  if (ours !== true) return;
  const sockets = before.sockets ?? [];
  seen.conditions = await conditionsOf(sockets, to, instruments, 0, gaps);
  // An engine keeps a listener on a port that its rules forward.
  const inside = forwardedTo(seen.firewall ?? null, to)?.port ?? to.port;
  if (forged || !sockets.some(({ state }) => state === 'LISTEN'))
    seen.elsewhere = instruments.elsewhere({ ...to, port: inside }, gaps);
}

/** No socket of this machine refused, and no other host: a rule of our own did, or one that forwards the port. */
function isForged(
  { refusals, errno, counters, local, ...attempt }: Attempt,
  to: InetEndpoint,
  ours: boolean | null,
): boolean {
  if (attempt.by !== 'later') return false;
  const own = [local?.address, ours === true ? to.address : null];
  if (refusals.some(({ from }) => from !== null && own.includes(from))) return true;
  if (errno !== 'ECONNREFUSED' || refusals.length > 0) return false;
  const lost = lostOnTheWay({ counters }, to.address);
  return (lost.out ?? 0) > 0 || (ours === true && ((lost.in ?? 0) > 0 || counters['Tcp.OutRsts'] === 0));
}

/** Which rule refuses: one more attempt, for the counters of the rules. Only where they may be read. */
async function readRules(to: InetEndpoint, instruments: Reaching, seen: Draft, probe: Probe): Promise<void> {
  const rules = instruments.firewall(to, seen.gaps);
  if (rules === null || probe.leftMs() <= 0) return;
  const { attempt, connection } = await instruments.attempt(to, timesOf(againMs, seen, probe), seen.gaps);
  connection?.close();
  seen.firewall = rules.after([attempt]);
}

async function lookAfterSilence(to: InetEndpoint, instruments: Reaching, seen: Draft, probe: Probe): Promise<void> {
  const { before, ours, gaps } = seen;
  const found = before.lookup?.found ?? null;
  const dropped = seen.attempt !== undefined && (dropsOf(found, seen.attempt) ?? 0) > 0;
  const rules = instruments.firewall(to, gaps);
  // The listener itself has dropped it: another packet would tell nothing new.
  if (!dropped && probe.leftMs() > 0) {
    const { attempt, connection } = await instruments.attempt(to, timesOf(againMs, seen, probe), gaps);
    seen.again = attempt;
    if (connection !== null) return useConnection(to, connection, instruments, seen, probe);
  }
  seen.firewall = rules?.after(seen.again === undefined ? [] : [seen.again]) ?? null;
  if (found !== null)
    seen.conditions = await conditionsOf(before.sockets ?? [], to, instruments, dropped ? watchMs : 0, gaps);
  if (ours === false && seen.again?.errno === 'ETIMEDOUT' && probe.leftMs() > 0)
    seen.hops = await instruments.walk(to, probe.signal, gaps);
  if (ours === false && before.route !== null) seen.neighbourAfter = instruments.before(to, []).neighbour;
}

/** One connection that stands: which process has it, what comes, and after a request what answers. It is closed at the end of the look. */
async function useConnection(
  to: InetEndpoint,
  connection: ReachConnection,
  instruments: Reaching,
  seen: Draft,
  probe: Probe,
): Promise<void> {
  const { gaps, before, ours } = seen;
  const sockets = seen.attempt?.sockets ?? before.sockets ?? [];
  const look = (watch: boolean): Promise<readonly Conditions[]> =>
    conditionsOf(sockets, to, instruments, watch ? watchMs : 0, gaps);
  let conditions: readonly Conditions[] | null = null;
  try {
    const { accepted, first: early } = await untilAccepted(connection, seen, probe);
    const here = connection.look(gaps);
    let first = early ?? silence;
    if (early === null && (accepted || here.mirror === null))
      first = await readFirst(connection, here.mirror === null, seen, probe);
    let request: Reply | null = null;
    // What spoke first is not interrupted, and what is closed is not written to.
    if (probe.request !== null && first.kind === 'silence') {
      connection.send(probe.request);
      request = await connection.read(replyTime(ours === true ? replyMs.ours : replyMs.remote, probe), probe.signal);
    }
    const stuck = (request ?? first).kind === 'silence' && (request !== null || (!accepted && here.mirror !== null));
    // It stays open while its process is watched: one that accepts meanwhile was only slow.
    if (stuck && ours === true) conditions = await look(true);
    const after = connection.look(gaps);
    seen.connected = { ...after, mirror: after.mirror ?? here.mirror, first, request, tls: null, smallSegments: null };
  } finally {
    connection.close();
  }
  const { request, info } = seen.connected;
  const ended = isEnd(request ?? seen.connected.first);
  seen.conditions = conditions ?? (await look(false));
  if (ended && probe.secure !== null)
    seen.connected = { ...seen.connected, tls: await triesTls(to, instruments, probe, gaps) };
  if (request?.kind === 'silence' && ours === false && info?.unacknowledged === 0)
    seen.connected = { ...seen.connected, smallSegments: await trySmall(to, instruments, probe, gaps) };
  if (ended && ours === true) seen.elsewhere = instruments.elsewhere(to, gaps);
}

function isEnd(reply: Reply | null): boolean {
  return reply?.kind === 'end' || reply?.kind === 'reset';
}

/** What comes without a request: soon on this machine, where it is known that a program has the connection. */
function readFirst(connection: ReachConnection, elsewhere: boolean, { ours }: Draft, probe: Probe): Promise<Reply> {
  const ms = elsewhere ? (ours === true ? firstMs.forwarded : firstMs.remote) : firstMs.accepted;
  return connection.read(min(ms, probe), probe.signal);
}

const silence: Reply = { kind: 'silence', bytes: '', elapsedMs: 0 };

/** Waits until a process has the connection, or something comes; not longer than a program that works needs. */
async function untilAccepted(
  connection: ReachConnection,
  { gaps, ours }: Draft,
  probe: Probe,
): Promise<{ accepted: boolean; first: Reply | null }> {
  if (ours !== true) return { accepted: false, first: null };
  for (let waitedMs = 0, pauseMs = 1; ; pauseMs *= 2) {
    const { mirror } = connection.look(gaps);
    if (mirror === null) return { accepted: false, first: null };
    if (mirror.inode !== 0) return { accepted: true, first: null };
    if (waitedMs >= acceptMs || probe.leftMs() <= 0) return { accepted: false, first: null };
    const reply = await connection.read(pauseMs, probe.signal);
    if (reply.kind !== 'silence') return { accepted: true, first: reply };
    waitedMs += pauseMs;
  }
}

async function triesTls(to: InetEndpoint, instruments: Reaching, probe: Probe, gaps: Gap[]): Promise<Connected['tls']> {
  if (probe.secure === null || probe.leftMs() <= 0) return null;
  const { connection } = await instruments.attempt(
    to,
    { timeoutMs: min(replyMs.ours, probe), signal: probe.signal },
    gaps,
  );
  if (connection === null) return null;
  try {
    connection.send(probe.secure);
    const reply = await connection.read(min(replyMs.ours, probe), probe.signal);
    const [type, version] = Buffer.from(reply.bytes, 'base64');
    // A ServerHello, or an alert: both are TLS (RFC 8446, section 5.1).
    return (type === 22 || type === 21) && version === 3 ? 'spoke' : 'refused';
  } finally {
    connection.close();
  }
}

/** The same request in small segments, which pass where big ones are lost without a word. */
async function trySmall(to: InetEndpoint, instruments: Reaching, probe: Probe, gaps: Gap[]): Promise<Reply | null> {
  if (probe.request === null || probe.leftMs() <= 0) return null;
  const { connection } = await instruments.attempt(
    to,
    { timeoutMs: min(replyMs.ours, probe), segmentBytes: smallSegment, signal: probe.signal },
    gaps,
  );
  if (connection === null) return null;
  try {
    connection.send(probe.request);
    return await connection.read(min(replyMs.ours, probe), probe.signal);
  } finally {
    connection.close();
  }
}

async function conditionsOf(
  sockets: readonly PortSocket[],
  { port }: InetEndpoint,
  instruments: Reaching,
  lookMs: number,
  gaps: Gap[],
): Promise<readonly Conditions[]> {
  const inodes = [...new Set(sockets.map(({ inode }) => inode).filter((inode) => inode !== 0))];
  return inodes.length === 0 ? [] : instruments.conditions(inodes, port, lookMs, gaps);
}

/** Without SO_BROADCAST a datagram to many is refused with another error than a connection, which is refused without a packet, too. */
function isRefusedEarly({ dryRun, route }: Before, { address }: InetEndpoint): boolean {
  if (dryRun === null || dryRun.errno === null) return false;
  const many =
    route?.type === 'broadcast' || route?.type === 'multicast' || /^(ff[0-9a-f]{2}:|22[4-9]\.|23\d\.)/i.test(address);
  return !many;
}

/** A listener's queue holds one more than its backlog (kernel: sk_acceptq_is_full). */
function isFull(found: PortSocket | null): boolean {
  return found?.queue != null && found.queue.waiting > found.queue.limit;
}

/** True for an address of this machine. Loopback is one wherever the route cannot be asked. */
function isOurs({ route }: Before): boolean | null {
  return route === null || route.type === null ? null : route.type === 'local';
}

function timesOf(
  limits: { readonly ours: number; readonly remote: number },
  { ours }: Draft,
  probe: Probe,
): { timeoutMs: number; signal: AbortSignal | undefined } {
  return { timeoutMs: min(ours === true ? limits.ours : limits.remote, probe), signal: probe.signal };
}

/** How long the answer to a request is waited for: what is looked at after a silence needs some of the time, too. */
export function replyTime(ms: number, probe: Probe): number {
  return min(probe.patient ? Math.max(ms, 0.8 * probe.leftMs()) : ms, probe);
}

function min(ms: number, { leftMs }: Probe): number {
  return Math.max(1, Math.min(ms, leftMs()));
}
