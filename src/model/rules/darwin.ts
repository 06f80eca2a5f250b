/**
 * The bind rules of macOS: of Apple's own code, run outside of a Mac, from 10.14 to 15.5. `npm run vectors` compares them with what it
 * answered.
 */
import type { InetEndpoint, Request, UnixEndpoint } from '../endpoint.ts';
import type { Facts, InetSocket, UnixSocket } from '../facts.ts';
import type { Candidate, Conflict, Outcome } from '../verdict.ts';
import { conflictOf, receiverOf, searches, whenFull } from './darwin-conflict.ts';
import { darwinRefusals } from './darwin-refusal.ts';
import { type Binder, binderOf, type Prediction, type Rules } from './rules.ts';
import { meets } from './span.ts';

export const darwin: Rules = {
  overlap: meets,
  receiver: receiverOf,
  madeByOther({ endpoint, options }, facts, socket) {
    const { uid } = facts.asker;
    if (endpoint.protocol === 'unix' || socket.uid === uid || uid === 0 || socket.darwin?.userSpace === true)
      return false;
    const blocks = (as: number): boolean => conflictOf(searches(binderOf(endpoint, options, as), [socket])) !== 'no';
    return blocks(uid) && !blocks(socket.uid);
  },
  predict(request: Request, facts: Facts): Prediction {
    const { endpoint } = request;
    return endpoint.protocol === 'unix' ? predictUnix(endpoint, facts) : predictInet(endpoint, request, facts);
  },
};

/** The sockets of the facts come newest first, as the kernel lists them. */
function predictInet(endpoint: InetEndpoint, { options }: Request, facts: Facts): Prediction {
  const binder = binderOf(endpoint, options, facts.asker.uid);
  const refused = darwinRefusals(binder, endpoint.port, facts.settings, facts.kernel);
  const early = refused.map(({ errno }) => errno);
  const isSure = refused.some(({ sure }) => sure);
  if (endpoint.port === 0) {
    return { possible: isSure ? early : [...early, null, whenFull(binder)], candidates: [], bystanders: [] };
  }
  const sockets = onPort(endpoint, facts);
  const verdicts = searches(binder, sockets);
  const conflict = conflictOf(verdicts);
  const deciders = new Set(verdicts.filter((each) => each.conflict !== 'no').map(({ decider }) => decider));
  const candidates: Candidate<InetSocket>[] = [];
  const bystanders: InetSocket[] = [];
  const alone = soleConflicts(binder);
  for (const socket of sockets) {
    const answer = socket.darwin?.userSpace ? mayReserve(binder, socket) : conflict === 'no' ? 'no' : alone(socket);
    if (answer === 'no') bystanders.push(socket);
    else candidates.push({ socket, conflict: conflict === 'maybe' ? 'maybe' : answer });
  }
  candidates.sort((a, b) => rank(a, deciders) - rank(b, deciders));
  const late: readonly Outcome[] =
    conflict === 'yes' ? ['EADDRINUSE'] : candidates.length > 0 ? likelier(conflict, candidates) : [null];
  return { possible: [...new Set(isSure ? early : [...early, ...late])], candidates, bystanders };
}

/** Whether a socket alone would make the bind fail. A busy server has thousands of connections that differ in their peer only. */
function soleConflicts(binder: Binder): (socket: InetSocket) => Conflict {
  const answers = new Map<string, Conflict>();
  return (socket) => {
    const { family, state, local, uid, reuseAddress, reusePort, v6Only, darwin: own } = socket;
    const key = `${family} ${state} ${local.address} ${uid} ${reuseAddress} ${reusePort} ${v6Only} ${own?.sharesUsers}`;
    const answer = answers.get(key) ?? conflictOf(searches(binder, [socket]));
    answers.set(key, answer);
    return answer;
  };
}

/**
 * A user-space listener or connection of Network.framework keeps a port reserved against sockets (bsd/skywalk/namespace/netns.c). That
 * was read, not run, so it only may.
 */
function mayReserve(binder: Binder, socket: InetSocket): Conflict {
  const theirs = { family: socket.family, address: socket.local.address, v6Only: socket.v6Only === true };
  return meets(binder, theirs) ? 'maybe' : 'no';
}

function likelier(conflict: Conflict, candidates: readonly Candidate[]): readonly Outcome[] {
  const listens = candidates.some(({ socket }) => socket.state === 'LISTEN');
  return conflict === 'maybe' || listens ? ['EADDRINUSE', null] : [null, 'EADDRINUSE'];
}

/** A path can be bound when nothing is there (unp_bind in bsd/kern/uipc_usrreq.c). There are no names without a file. */
function predictUnix(endpoint: UnixEndpoint, facts: Facts): Prediction {
  const owners = facts.sockets.filter(
    (socket): socket is UnixSocket => socket.protocol === 'unix' && socket.state !== 'ESTABLISHED',
  );
  const candidates = owners.map((socket) => ({ socket, conflict: 'yes' as const }));
  const nothing = { candidates: [], bystanders: [] };
  // Node cuts a leading NUL off nothing: the path is empty then, which bind refuses.
  if (endpoint.path.startsWith('\0')) return { ...nothing, possible: ['ENOENT', 'EINVAL'] };
  const file = facts.unixFile;
  if (file === null) return { possible: [null, 'EADDRINUSE', 'EACCES', 'ENOENT'], candidates, bystanders: [] };
  if (file.errno === 'EINVAL') return { ...nothing, possible: ['EINVAL'] };
  if (file.kind !== 'none') return { possible: ['EADDRINUSE'], candidates, bystanders: [] };
  if (!file.creatable) return { ...nothing, possible: [file.errno ?? 'EACCES'] };
  return { ...nothing, possible: file.holdsSockets === null ? [null, 'EPERM'] : [null] };
}

function onPort(endpoint: InetEndpoint, facts: Facts): InetSocket[] {
  return facts.sockets.filter(
    (socket): socket is InetSocket => socket.protocol === endpoint.protocol && socket.local.port === endpoint.port,
  );
}

/** What decides first, then the one a person would look for first. */
function rank(candidate: Candidate<InetSocket>, deciders: ReadonlySet<object>): number {
  const { socket } = candidate;
  const decides = deciders.has(socket) ? 0 : 10;
  if (socket.state === 'LISTEN') return decides;
  return decides + (socket.state === 'BOUND' ? 1 : 2);
}
