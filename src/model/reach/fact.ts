/** What was seen of an address, one fact a line, each with its source: the `evidence` of the JSON document. */
import type { Attempt, Datagram, Evidence, InetEvidence, Reply, UnixEvidence } from './evidence.ts';
import { lostOnTheWay } from './path.ts';
import type { Fact } from './report.ts';

/** The facts of one address, those that needed no packet first. */
export function factsOf(evidence: Evidence): Fact[] {
  return evidence.protocol === 'unix' ? ofUnix(evidence) : ofInet(evidence);
}

function ofInet(evidence: InetEvidence): Fact[] {
  const { before, attempt, again, connected } = evidence;
  const facts: (Fact | null)[] = [
    fact('address-is-ours', evidence.ours, 'RTM_GETROUTE'),
    before.dryRun === null ? null : fact('dry-run', before.dryRun.errno ?? 'ok', 'connect(2) of a UDP socket'),
    fact('source-address', before.dryRun?.source ?? null, 'getsockname(2)'),
    fact('route-errno', before.route?.errno ?? null, 'RTM_GETROUTE'),
    fact('device', before.route?.device ?? null, 'RTM_GETROUTE'),
    fact('gateway', before.route?.gateway ?? null, 'RTM_GETROUTE'),
    fact('neighbour', before.neighbour?.state ?? null, 'RTM_GETNEIGH'),
    before.lookup === null
      ? null
      : fact('listener', before.lookup.found === null ? 'none' : before.lookup.found.inode, 'INET_DIAG, exact'),
    fact('listener-waiting', before.lookup?.found?.queue?.waiting ?? null, 'INET_DIAG idiag_rqueue'),
    fact('listener-backlog', before.lookup?.found?.queue?.limit ?? null, 'INET_DIAG idiag_wqueue'),
    ...(attempt === null ? [] : ofAttempt(attempt, evidence, '')),
    ...(again === null ? [] : ofAttempt(again, evidence, 'second-')),
  ];
  if (connected !== null)
    facts.push(
      fact('accepted-by-inode', connected.mirror?.inode ?? null, 'INET_DIAG of the other end'),
      fact('unacknowledged', connected.info?.unacknowledged ?? null, 'TCP_INFO'),
      fact('retransmits', connected.info?.retransmits ?? null, 'TCP_INFO'),
      fact('first', connected.first === null ? null : replyWord(connected.first), 'recv(2)'),
      fact('reply', connected.request === null ? null : replyWord(connected.request), 'recv(2)'),
    );
  if ('datagram' in evidence && evidence.datagram !== null) {
    const datagram = evidence.datagram as Datagram;
    facts.push(fact('datagram', datagram.errno ?? replyWord(datagram.reply), 'recv(2)'));
  }
  for (const { holder, frozen, descriptors, busy, waits } of evidence.conditions.flatMap(({ holders }) => holders))
    facts.push(
      fact(`process-${holder.pid}-state`, holder.processState, '/proc/PID/stat'),
      fact(`process-${holder.pid}-frozen`, frozen === true ? true : null, 'cgroup.events'),
      fact(`process-${holder.pid}-descriptors`, descriptors?.open ?? null, '/proc/PID/fd'),
      fact(`process-${holder.pid}-descriptor-limit`, descriptors?.limit ?? null, '/proc/PID/limits'),
      fact(`process-${holder.pid}-busy`, busy === null ? null : Math.round(busy * 100) / 100, '/proc/PID/stat'),
      fact(`process-${holder.pid}-waits-for-connections`, waits, '/proc/PID/fdinfo, /proc/PID/syscall'),
    );
  return facts.filter((each) => each !== null);
}

function ofAttempt(attempt: Attempt, evidence: InetEvidence, prefix: string): (Fact | null)[] {
  const lost = lostOnTheWay(attempt, evidence.endpoint.address);
  const [refusal] = attempt.refusals;
  return [
    fact(`${prefix}connect`, attempt.errno ?? 'ok', 'connect(2)'),
    fact(`${prefix}out-not-transmitted`, lost.out, '/proc/net/snmp'),
    fact(`${prefix}in-not-delivered`, lost.in, '/proc/net/snmp'),
    fact(`${prefix}resets-sent`, attempt.counters['Tcp.OutRsts'] ?? null, '/proc/net/snmp'),
    fact(`${prefix}refused-by`, refusal?.from ?? null, 'MSG_ERRQUEUE'),
    fact(`${prefix}refusal`, refusal === undefined ? null : `${refusal.type}/${refusal.code}`, 'MSG_ERRQUEUE'),
  ];
}

function ofUnix(evidence: UnixEvidence): Fact[] {
  const facts = [
    fact('file', evidence.stat.errno ?? evidence.file?.kind ?? null, 'stat(2)'),
    fact('listeners', evidence.sockets?.filter(({ state }) => state === 'LISTEN').length ?? null, 'UNIX_DIAG'),
    evidence.attempt === null ? null : fact('connect', evidence.attempt.errno ?? 'ok', 'connect(2)'),
    fact('peer', evidence.attempt?.peer?.pid ?? null, 'SO_PEERCRED'),
    fact('reply', evidence.request === null ? null : replyWord(evidence.request), 'recv(2)'),
  ];
  return facts.filter((each) => each !== null);
}

function replyWord(reply: Reply | null): string {
  return reply?.kind ?? 'none';
}

/** Nothing where there is no value: what was not looked at is in `gaps`. */
function fact(name: string, value: Fact['value'], source: string): Fact | null {
  return value === null ? null : { fact: name, value, source };
}
