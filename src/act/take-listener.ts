/**
 * Takes the listening socket of a program that runs already, for `hold --take-over`: which socket is meant, whether its program may be asked to
 * end, and a copy of it, so that its queue goes on.
 */
import { mayEnd } from '../ask/doubts.ts';
import { look } from '../ask/look.ts';
import { causes } from '../causes/bind/index.ts';
import { BlockedPortError } from '../errors.ts';
import { formatEndpoint, type Request } from '../model/endpoint.ts';
import type { Facts, Holder, Socket } from '../model/facts.ts';
import { answer } from '../model/judge.ts';
import { onlyHasOpen } from '../model/may-end.ts';
import { programName } from '../model/program.ts';
import { whyNever } from '../model/stops.ts';
import type { Question } from '../model/verdict.ts';
import type { Os } from '../os/os.ts';
import { copySocket } from './copy-socket.ts';

/** A copied listener. The caller owns `fd`. */
export interface TakenListener {
  readonly fd: number;
  /** Those to ask to finish, once the successor is ready. */
  readonly former: readonly Holder[];
  /** Those that only have the socket open, such as an editor that the server had started: they are left alone. */
  readonly left: readonly Holder[];
}

/**
 * @param exact True when an address was typed: then only a listener on this very address will do. Else the only one that is in the way.
 * @param yes True when the user confirmed that programs are stopped which `free` would ask about.
 * @param held Ports that are taken over, too, and so no reason to spare their program.
 * @returns Null when nothing is in the way any more.
 * @throws {BlockedPortError} with the reason, when it cannot be taken or its program must not be asked to end.
 */
export function takeListener(
  os: Os,
  request: Request,
  exact: boolean,
  held: ReadonlySet<number>,
  yes = false,
): TakenListener | null {
  const question = look(request, os, 'all');
  if (question.errno === null) return null;
  const refuse = (why: string): BlockedPortError =>
    new BlockedPortError(answer(question, causes), {
      cause: new Error(`Cannot take over ${formatEndpoint(request.endpoint)}: ${why}`),
    });
  const listeners = question.blockers.map(({ socket }) => socket).filter(isListener);
  const there = listeners.filter((socket) => isAt(socket, request));
  const candidates = there.length > 0 || exact ? there : listeners;
  const [first] = candidates;
  if (first === undefined)
    throw refuse(
      listeners.length > 0
        ? `the program in the way listens on ${listeners.map(whereOf).join(', ')}, not there`
        : 'no program listens there',
    );
  // Several sockets of one address share it by SO_REUSEPORT.
  if (candidates.some((socket) => whereOf(socket) !== whereOf(first)))
    throw refuse(`several programs are in the way: on ${candidates.map(whereOf).join(', ')}; name one address`);
  return copyFirst(os, question, candidates, { held, yes }, refuse);
}

function copyFirst(
  os: Os,
  question: Question,
  candidates: readonly Socket[],
  may: { readonly held: ReadonlySet<number>; readonly yes: boolean },
  refuse: (why: string) => BlockedPortError,
): TakenListener {
  const reasons: string[] = [];
  for (const { inode } of candidates) {
    const holders = question.facts.holders.get(inode) ?? [];
    const left = holders.filter((holder) => onlyHasOpen(holder, question.facts));
    const former = holders.filter((holder) => !left.includes(holder));
    for (const holder of withoutTheirChildren(former)) {
      const why = whyNotAsked(holder, question, may.held, may.yes);
      if (why !== null) throw refuse(`${programName(holder)} (pid ${holder.pid}) is not stopped, because ${why}`);
    }
    for (const holder of holders) {
      const handle = os.processes.open(holder);
      if (handle === null) continue;
      try {
        const copied = copySocket(os, handle, holder.descriptors, inode);
        if (copied.fd !== null) return { fd: copied.fd, former, left };
        reasons.push(`process ${holder.pid} does not let this user copy it (${copied.why})`);
      } finally {
        handle.close();
      }
    }
  }
  throw refuse(reasons.length === 0 ? 'which process has it is not visible to this user' : reasons.join(', '));
}

/** --take-over is a yes for the program that has the port, wherever it was started; for nothing else that would end with it. */
function whyNotAsked(
  holder: Holder,
  { facts, managers }: Question,
  held: ReadonlySet<number>,
  yes: boolean,
): string | null {
  const never = whyNever(holder, managers.get(holder.pid) ?? null, facts.asker);
  if (never !== null) return never;
  const verdict = mayEnd(holder, forTakeOver(holder, facts, held));
  if (verdict.kind === 'ask') return yes ? null : `${verdict.why}; --yes confirms it`;
  return verdict.kind === 'yes' ? null : verdict.why;
}

/** The facts without what is no doubt here: another project, another terminal, and ports that are taken over, too. */
function forTakeOver(holder: Holder, facts: Facts, held: ReadonlySet<number>): Facts {
  const standing = facts.standings.get(holder.pid);
  const asker = { ...facts.asker, cwd: holder.cwd ?? facts.asker.cwd };
  if (standing === undefined) return { ...facts, asker };
  const alsoListens = standing.alsoListens.filter(({ port }) => !held.has(port));
  const standings = new Map(facts.standings).set(holder.pid, { ...standing, terminal: false, alsoListens });
  return { ...facts, asker, standings };
}

function withoutTheirChildren(holders: readonly Holder[]): readonly Holder[] {
  const pids = new Set(holders.map(({ pid }) => pid));
  return holders.filter(({ parents }) => !parents.some(({ pid }) => pids.has(pid)));
}

function isListener(socket: Socket): boolean {
  return socket.inode !== 0 && socket.state === (socket.protocol === 'udp' ? 'BOUND' : 'LISTEN');
}

function isAt(socket: Socket, { endpoint }: Request): boolean {
  if (socket.protocol === 'unix' || endpoint.protocol === 'unix') return socket.protocol === endpoint.protocol;
  return socket.local.address === endpoint.address;
}

function whereOf(socket: Socket): string {
  if (socket.protocol === 'unix') return formatEndpoint({ protocol: 'unix', path: socket.path });
  return formatEndpoint({ protocol: socket.protocol, ...socket.local });
}
