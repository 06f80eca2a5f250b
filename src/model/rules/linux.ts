/**
 * The bind rules of Linux, measured on 6.18 and checked against the sources of 6.1, 6.12 and 6.18.
 * `npm run vectors` compares them with results that were read off a kernel; test/live-rules.test.ts with the running one.
 */
import type { InetEndpoint, Request, UnixEndpoint } from '../endpoint.ts';
import type { Facts, InetSocket, UnixSocket } from '../facts.ts';
import type { Candidate, Conflict, Outcome } from '../verdict.ts';
import { isOverlooked, overlap } from './linux-address.ts';
import { conflict, mayShare } from './linux-conflict.ts';
import { refusals } from './linux-refusal.ts';
import { type Binder, binderOf, type Prediction, type Rules } from './rules.ts';

export const linux: Rules = {
  overlap,
  predict(request: Request, facts: Facts): Prediction {
    const { endpoint } = request;
    return endpoint.protocol === 'unix' ? predictUnix(endpoint, facts) : predictInet(endpoint, request, facts);
  },
};

function predictInet(endpoint: InetEndpoint, { options }: Request, facts: Facts): Prediction {
  const binder = binderOf(endpoint, options, facts.asker.uid);
  const refused = refusals(binder, endpoint.port, facts.settings, options.device);
  const early = refused.map((refusal) => refusal.errno);
  if (endpoint.port === 0) {
    // The kernel chooses: only sockets on every automatic port can make that fail, and they were not all read.
    const possible = refused.some((refusal) => refusal.sure) ? early : [...early, null, 'EADDRINUSE'];
    return { possible, candidates: [], bystanders: [] };
  }
  const candidates: Candidate<InetSocket>[] = [];
  const bystanders: InetSocket[] = [];
  const answers = new Map<string, Conflict>();
  const sockets = onPort(endpoint, facts);
  const listeners = sockets.filter(isListener);
  for (const socket of sockets) {
    // A busy server has tens of thousands of connections that differ in their remote address only.
    const key = keyOf(socket);
    const answer = answers.get(key) ?? conflictOn(facts.kernel, binder, withListenersFlags(socket, listeners));
    answers.set(key, answer);
    if (answer === 'no') bystanders.push(socket);
    else candidates.push({ socket, conflict: answer });
  }
  candidates.sort((a, b) => rank(a) - rank(b));
  const late = portOutcomes(binder, candidates, bystanders, facts.kernel);
  const possible = refused.some((refusal) => refusal.sure) ? early : [...early, ...late];
  return { possible: [...new Set(possible)], candidates, bystanders };
}

/** `conflict`, where this kernel may differ from it. Which patches a release of a distribution has is not known, so never `no`. */
function conflictOn(kernel: string, binder: Binder, socket: InetSocket): Conflict {
  const answer = conflict(binder, socket);
  const mayOverlook = binder.protocol === 'tcp' && !isBefore(kernel, 6, 1) && isBefore(kernel, 6, 9);
  const { family, local } = socket;
  return answer === 'yes' && mayOverlook && isOverlooked(binder, { family, address: local.address }) ? 'maybe' : answer;
}

/** What can come of the look at the port itself. */
function portOutcomes(
  binder: Binder,
  candidates: readonly Candidate<InetSocket>[],
  bystanders: readonly InetSocket[],
  kernel: string,
): readonly Outcome[] {
  if (candidates.length === 0) return [null];
  const certain = candidates.some((candidate) => candidate.conflict === 'yes');
  if (!certain) return ['EADDRINUSE', null];
  const sockets = candidates.map((candidate) => candidate.socket);
  const excused =
    binder.protocol === 'udp'
      ? [...sockets, ...bystanders].some((socket) => mayShare(binder, socket))
      : cacheMayExcuse(binder, sockets, kernel);
  return excused ? ['EADDRINUSE', null] : ['EADDRINUSE'];
}

/**
 * Whether the bind bucket's cache may let a TCP bind pass that the rules refuse; never the reverse (sk_reuseport_match).
 * The cache remembers the last SO_REUSEPORT socket that bound, which may be gone by now, so nothing that can be read excludes it.
 * Up to 6.7 it also remembers SO_REUSEADDR after it was cleared (fixed by "owners only in bhash2", 6.8).
 */
function cacheMayExcuse(binder: Binder, blockers: readonly InetSocket[], kernel: string): boolean {
  if (binder.reusePort) return true;
  return binder.reuseAddress && isBefore(kernel, 6, 8) && blockers.every((socket) => socket.state !== 'LISTEN');
}

/**
 * A Unix socket's path can be bound when nothing is there, whatever it is (unix_bind_bsd); a name of the abstract
 * namespace when no socket has it (unix_bind_abstract).
 */
function predictUnix(endpoint: UnixEndpoint, facts: Facts): Prediction {
  const owners = facts.sockets.filter(
    (socket): socket is UnixSocket => socket.protocol === 'unix' && socket.state !== 'ESTABLISHED',
  );
  const candidates = owners.map((socket) => ({ socket, conflict: 'yes' as const }));
  candidates.sort((a, b) => rank(a) - rank(b));
  if (endpoint.path.startsWith('\0')) {
    return { possible: [owners.length > 0 ? 'EADDRINUSE' : null], candidates, bystanders: [] };
  }
  const file = facts.unixFile;
  if (file === null) return { possible: [null, 'EADDRINUSE', 'EACCES', 'ENOENT'], candidates, bystanders: [] };
  // The path does not fit into an address, so the kernel never looks at it.
  if (file.errno === 'EINVAL') return { possible: ['EINVAL'], candidates: [], bystanders: [] };
  // EEXIST is looked for before the directory's write permission.
  if (file.kind !== 'none') return { possible: ['EADDRINUSE'], candidates, bystanders: [] };
  // A listener whose file was removed blocks nobody.
  const refused = file.errno ?? 'EACCES';
  if (!file.creatable) return { possible: [refused], candidates: [], bystanders: [] };
  return { possible: file.holdsSockets === null ? [null, 'EPERM'] : [null], candidates: [], bystanders: [] };
}

function onPort(endpoint: InetEndpoint, facts: Facts): InetSocket[] {
  return facts.sockets.filter(
    (socket): socket is InetSocket => socket.protocol === endpoint.protocol && socket.local.port === endpoint.port,
  );
}

/** Everything that the rules look at. */
function keyOf(socket: InetSocket): string {
  const { family, state, local, uid, linux, reuseAddress, reusePort, v6Only, device } = socket;
  return `${family} ${state} ${local.address} ${uid} ${linux?.mini} ${reuseAddress} ${reusePort} ${v6Only} ${device}`;
}

function isListener(socket: InetSocket): boolean {
  return socket.protocol === 'tcp' && socket.state === 'LISTEN';
}

/**
 * A connection, and what is left of one, hides its flags, but it has had its listener's from the start (inet_csk_clone_lock,
 * tcp_time_wait); where that still listens, it tells. What an earlier server left without SO_REUSEADDR would have kept it from its port.
 */
function withListenersFlags(socket: InetSocket, listeners: readonly InetSocket[]): InetSocket {
  if (socket.protocol !== 'tcp' || socket.state === 'LISTEN' || socket.state === 'BOUND') return socket;
  if (socket.direction === 'outgoing') return socket;
  const connected = { family: socket.family, address: socket.local.address, v6Only: false };
  const own = listeners.filter(
    ({ family, local, v6Only }) =>
      family === socket.family && overlap({ family, address: local.address, v6Only: v6Only === true }, connected),
  );
  return {
    ...socket,
    v6Only: socket.v6Only ?? agreed(own.map(({ v6Only }) => v6Only)),
    reuseAddress: socket.reuseAddress ?? agreed(own.map(({ reuseAddress }) => reuseAddress)),
  };
}

function agreed(flags: readonly (boolean | null)[]): boolean | null {
  const [first = null] = flags;
  return flags.every((flag) => flag === first) ? first : null;
}

/** The surest first, then the one a person would look for first. */
function rank(candidate: Candidate): number {
  const { socket } = candidate;
  const sure = candidate.conflict === 'yes' ? 0 : 10;
  if (socket.state === 'LISTEN') return sure;
  if (socket.state === 'BOUND') return sure + 1;
  if (socket.protocol !== 'unix' && socket.linux?.mini) return sure + 4;
  return sure + (socket.inode === 0 ? 3 : 2);
}

/** Whether a kernel release such as `6.1.0-18-amd64` is older than `major.minor`. False when it cannot be read. */
function isBefore(kernel: string, major: number, minor: number): boolean {
  const match = /^(\d+)\.(\d+)/.exec(kernel);
  if (match === null) return false;
  const [, a = '0', b = '0'] = match;
  return Number(a) < major || (Number(a) === major && Number(b) < minor);
}
