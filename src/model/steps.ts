/**
 * What `free` would do about a question, as data: the steps, whom each touches, and why some are refused. Pure.
 *
 * A remedy of a cause is advice for a person; a step names the very processes and sockets that will be touched.
 */

import { formatAddress } from './address.ts';
import { formatEndpoint } from './endpoint.ts';
import type { Holder, InetSocket, Socket, UnixFile } from './facts.ts';
import { isLeftover } from './leftover.ts';
import { label, managedName, managedThing } from './manager-words.ts';
import { type Manager, managers } from './managers.ts';
import { neverAsked } from './may-end.ts';
import { programName } from './program.ts';
import type { PlannedStep, SocketReference, StepContext, StepTarget } from './step.ts';
import { doubtAboutManager, holdersIn, type Stop, stopsOf } from './stops.ts';
import type { Candidate, Question } from './verdict.ts';

/** An end this near is waited for, whatever the timeout: gentler than anything else, and nobody notices. */
const nearMs = 1_000;

/**
 * The steps, in the order in which they are carried out. Empty when the endpoint is bindable, and when
 * nothing that `free` does would help (EACCES, EADDRNOTAVAIL): then the remedies of the causes are all there is.
 */
export function planSteps(question: Question, context: StepContext): PlannedStep[] {
  if (question.errno !== 'EADDRINUSE') return [];
  if (question.request.endpoint.protocol === 'unix') return planUnix(question, context);
  const sockets = toBlame(question).map((candidate) => candidate.socket as InetSocket);
  const holders = (socket: Socket): readonly Holder[] => question.facts.holders.get(socket.inode) ?? [];

  const abandoned = sockets.filter((socket) => socket.inode === 0 && !isWaitingForAccept(socket, sockets));
  const owned = sockets.filter((socket) => socket.inode !== 0);
  const clients = owned.filter((socket) => isClient(socket, question.facts.sockets));
  const served = owned.filter((socket) => !clients.includes(socket));
  // Who listens or is bound goes first: what it accepted may not block any more once it is marked.
  const firm = served.filter((socket) => socket.state === 'LISTEN' || socket.state === 'BOUND');
  const first = firm.length > 0 ? firm : served;

  return [
    ...first.filter((socket) => holders(socket).length === 0).map((socket) => hidden(socket, question)),
    ...stopHolders(first.flatMap(holders), question, context),
    ...clients.map((socket) => cutClient(socket, holders(socket), question, context)),
    ...removeAbandoned(abandoned, question, context),
  ];
}

/**
 * True when the steps cannot be enough, so that none may be carried out: something that blocks for certain would stay.
 * Where nothing is certain, harmless steps may show who it was.
 */
export function isFutile(question: Question, steps: readonly PlannedStep[]): boolean {
  const certain = question.blockers.some((candidate) => candidate.conflict === 'yes');
  return certain && steps.some((step) => step.refusal !== null);
}

/** Processes that only may block come after those that do: then the kernel says whether they matter. */
export function toBlame({ blockers }: Question): readonly Candidate[] {
  const certain = blockers.filter((candidate) => candidate.conflict === 'yes');
  return certain.length > 0 ? certain : blockers;
}

/** True when a step may be carried out without asking anybody. */
export function isPlainlySafe(steps: readonly PlannedStep[]): boolean {
  return steps.every((step) => step.refusal !== null || step.doubt === null);
}

/** How a socket is named in a report. */
export function referenceTo(socket: Socket): SocketReference {
  const { protocol, state, uid, inode } = socket;
  return socket.protocol === 'unix'
    ? { protocol, state, local: { address: socket.path, port: 0 }, remote: null, uid, inode }
    : { protocol, state, local: socket.local, remote: socket.remote, uid, inode };
}

/**
 * A connection that this side began, or that speaks to itself: its process uses the port by chance and serves nobody with it.
 * Where it cannot be told who began and nobody listens on the port, it is taken for one: nobody's client is ever stopped.
 */
function isClient(socket: InetSocket, all: readonly Socket[]): boolean {
  if (socket.remote === null) return false;
  if (socket.protocol === 'udp') return socket.autoPort === true;
  if (socket.remote.port === socket.local.port && socket.remote.address === socket.local.address) return true;
  if (socket.direction !== null) return socket.direction === 'outgoing';
  return !all.some((other) => other.protocol === 'tcp' && other.state === 'LISTEN');
}

/** A connection in a listener's queue has no owner yet; it ends with the listener. */
function isWaitingForAccept(socket: InetSocket, all: readonly InetSocket[]): boolean {
  if (isLeftover(socket) || (socket.state !== 'ESTABLISHED' && socket.state !== 'CLOSE_WAIT')) return false;
  return all.some((other) => other.state === 'LISTEN' && other.protocol === socket.protocol);
}

function stopHolders(all: readonly Holder[], question: Question, context: StepContext): PlannedStep[] {
  const stops = stopsOf(unique(all), question.managers, question.facts.asker);
  const steps = stops.map((stop) => stopSteps(stop, question, context));
  const allowed = stops.flatMap((stop, index) =>
    steps[index]?.every((step) => step.refusal === null) ? holdersIn(stop) : [],
  );
  return [...mark(allowed, question), ...steps.flat()];
}

function stopSteps(stop: Stop, question: Question, context: StepContext): PlannedStep[] {
  switch (stop.kind) {
    case 'order':
      return [order(stop.manager, stop.holders)];
    case 'watcher': {
      const { watcher, manager } = stop;
      const { again } = managers[manager.kind];
      const what = `, which ${again === null ? 'runs it' : `starts it again ${again}`}`;
      const ends = stopOne(watcher, label(manager), manager, question, context, what);
      return ends.refusal === null
        ? [ends, ...stop.holders.map((holder) => stopOne(holder, null, null, question, context))]
        : [ends];
    }
    case 'process':
      return [stopOne(stop.holder, null, stop.manager, question, context)];
    default:
      return [
        {
          ...stopOne(stop.holder, stop.manager?.kind === 'hold' ? label(stop.manager) : null, null, question, context),
          refusal: stop.why,
          work: { kind: 'none' },
        },
      ];
  }
}

function order(manager: Manager, holders: readonly Holder[]): PlannedStep {
  const { kind, name } = manager;
  const told = manager.order;
  return {
    remedy: managers[kind].runs === 'the container' ? 'stop-container' : 'stop-unit',
    sentence: `Stop ${managedThing(manager)}${told === null ? '' : ` (${told.shown})`}`,
    target: {
      kind: 'manager',
      manager: kind,
      name: managedName(manager) ?? name ?? '',
      pids: holders.map((holder) => holder.pid),
    },
    refusal: told === null ? `nothing here can tell ${managers[kind].called} to stop it` : null,
    doubt: doubtAboutManager(manager),
    work: told === null ? { kind: 'none' } : { kind: 'manager', order: told, called: managers[kind].called },
  };
}

/** @param what What the process is in the sentence; else its number and name. @param more The end of the sentence */
function stopOne(
  holder: Holder,
  what: string | null,
  manager: Manager | null,
  { facts }: Question,
  context: StepContext,
  more = '',
): PlannedStep {
  const { pid, command, user } = holder;
  return {
    remedy: 'stop-process',
    sentence: `Stop ${what ?? `${programName(holder)} (pid ${pid})`} with SIGTERM${context.force ? `, then kill it after ${seconds(context.graceMs)}` : ''}${more}`,
    target: { kind: 'process', pid, command, user },
    refusal: neverAsked(holder, facts.asker),
    doubt: joined(manager === null ? null : doubtAboutManager(manager), context.doubts.get(pid) ?? null),
    work: { kind: 'stop', holder },
  };
}

/** kernel.md §7 in short: a connection that stays behind keeps the reuse flag it had, so the flag is set while somebody still owns it. */
export function mark(holders: readonly Holder[], { request, facts, advice }: Question): PlannedStep[] {
  if (!advice.leftovers.keepFlags) return [];
  // Without SO_REUSEADDR of its own the bind would be blocked all the same.
  if (request.endpoint.protocol !== 'tcp' || !request.options.reuseAddress || holders.length === 0) return [];
  const pids = new Set(holders.map((holder) => holder.pid));
  const sockets = facts.sockets.filter(
    (socket): socket is InetSocket =>
      socket.protocol === 'tcp' &&
      socket.inode !== 0 &&
      socket.reuseAddress !== true &&
      !isClient(socket, facts.sockets) &&
      (facts.holders.get(socket.inode) ?? []).some((holder) => pids.has(holder.pid)),
  );
  if (sockets.length === 0) return [];
  const them = sockets.length === 1 ? 'it' : 'them';
  return [
    {
      remedy: 'set-option',
      sentence: `Mark ${count(sockets.length, 'socket')} with SO_REUSEADDR first, so that leftovers of ${them} cannot block the next server`,
      target: { kind: 'sockets', sockets: sockets.map(referenceTo) },
      refusal: null,
      doubt: null,
      work: {
        kind: 'mark',
        sockets: sockets.map(({ inode }) => ({ inode, holders: facts.holders.get(inode) ?? [] })),
      },
    },
  ];
}

function hidden(socket: Socket, { facts }: Question): PlannedStep {
  const foreign = socket.uid !== facts.asker.uid;
  const user = facts.users.get(socket.uid) ?? socket.uid;
  const who = `a process of user ${user}`;
  const refusal =
    facts.asker.uid === 0 && facts.unseen.processes
      ? 'its process is not visible: "rebind why" reports why'
      : facts.asker.uid === 0
        ? 'no visible process holds it: the kernel does, or a process in another namespace'
        : `which process it is cannot be seen${foreign ? '' : ' or signalled'} as user ${facts.asker.user}: run this as ${foreign ? 'that user or as ' : ''}root`;
  return {
    remedy: 'stop-process',
    sentence: `Stop the process that holds ${describe(socket)}, ${facts.asker.uid === 0 ? `which user ${user} made` : who}`,
    target: { kind: 'sockets', sockets: [referenceTo(socket)] },
    refusal,
    doubt: null,
    work: { kind: 'none' },
  };
}

function cutClient(
  socket: InetSocket,
  holders: readonly Holder[],
  { facts, advice }: Question,
  context: StepContext,
): PlannedStep {
  const who =
    holders.map((holder) => `process ${holder.pid} (${holder.command})`).join(', ') ||
    `user ${facts.users.get(socket.uid) ?? socket.uid}`;
  let refusal: string | null = null;
  // Destroying leaves an explicitly bound socket bound (tcp_abort in net/ipv4/tcp.c).
  if (!advice.leftovers.removable) refusal = 'this system has no way to cut a connection of another program';
  else if (socket.autoPort === false) refusal = 'it chose this port itself and would hold it without the connection';
  else if (!context.force) refusal = 'it is a client that uses the port by chance; --force cuts this one connection';
  else if (facts.settings.mayAdministerNetwork === false) refusal = 'needs CAP_NET_ADMIN: run this as root';
  return {
    remedy: 'remove-leftovers',
    sentence: `Close the connection of ${who}, ${describe(socket)}`,
    target: { kind: 'sockets', sockets: [referenceTo(socket)] },
    refusal,
    doubt: null,
    work: { kind: 'destroy', sockets: [socket] },
  };
}

function removeAbandoned(
  sockets: readonly InetSocket[],
  { facts, advice }: Question,
  context: StepContext,
): PlannedStep[] {
  const { removable } = advice.leftovers;
  if (sockets.length === 0) return [];
  const lastMs = Math.max(...sockets.map((socket) => socket.expiresInMs ?? Number.POSITIVE_INFINITY));
  const target = { kind: 'sockets', sockets: sockets.map(referenceTo) } as const;
  const what =
    sockets.length === 1 && sockets[0] !== undefined ? describe(sockets[0]) : count(sockets.length, 'connection');
  if (lastMs <= nearMs) return [waiting(what, lastMs, target, null)];
  if (removable && facts.settings.mayAdministerNetwork === true) {
    return [
      {
        remedy: 'remove-leftovers',
        sentence: `Remove the leftovers of ${what}, which no process owns`,
        target,
        refusal: null,
        doubt: null,
        work: { kind: 'destroy', sockets },
      },
    ];
  }
  if (lastMs === Number.POSITIVE_INFINITY) {
    return [
      {
        remedy: 'remove-leftovers',
        sentence: `Remove the leftovers of ${what}, which no process owns`,
        target,
        refusal: removable
          ? 'needs CAP_NET_ADMIN: run this as root. The kernel gives up after some minutes'
          : 'this system has no way to remove them. The kernel gives up after a minute',
        doubt: null,
        work: { kind: 'none' },
      },
    ];
  }
  const permitted = context.timeoutMs === 0 ? 'a second' : `--timeout ${seconds(context.timeoutMs)}`;
  const tooLong = `it takes longer than ${permitted}: give --timeout ${Math.ceil(lastMs / 1000)}s to wait for it${removable ? '; root can remove it at once' : ''}`;
  return [waiting(what, lastMs, target, lastMs > context.timeoutMs ? tooLong : null)];
}

function waiting(what: string, ms: number, target: StepTarget, refusal: string | null): PlannedStep {
  return {
    remedy: 'wait',
    sentence: `Wait ${seconds(ms)} until the kernel removes ${what}`,
    target,
    refusal,
    doubt: null,
    work: { kind: 'wait', ms },
  };
}

function planUnix(question: Question, context: StepContext): PlannedStep[] {
  const { facts, request, blockers } = question;
  if (request.endpoint.protocol !== 'unix') return [];
  const { path } = request.endpoint;
  const sockets = blockers
    .map((candidate: Candidate) => candidate.socket)
    .filter((socket) => socket.protocol === 'unix');
  // The accepted connections of a server carry its path too, and end with it.
  const served = sockets.filter((socket) => socket.state !== 'ESTABLISHED');
  if (served.length > 0) {
    const holders = (socket: Socket): readonly Holder[] => facts.holders.get(socket.inode) ?? [];
    return [
      ...served.filter((socket) => holders(socket).length === 0).map((socket) => hidden(socket, question)),
      ...stopHolders(served.flatMap(holders), question, context),
    ];
  }
  const file = facts.unixFile;
  if (file === null || file.kind === 'none') return [];
  const name = formatEndpoint(request.endpoint);
  return [
    {
      remedy: 'remove-file',
      sentence:
        file.inUse === false ? `Remove ${name}, the file of a socket that no process has open` : `Remove ${name}`,
      target: { kind: 'file', path },
      refusal: whyNotRemoved(file),
      doubt:
        file.uid !== null && file.uid !== facts.asker.uid
          ? `it belongs to user ${facts.users.get(file.uid) ?? file.uid}`
          : null,
      work: { kind: 'unlink', path, inode: file.inode },
    },
  ];
}

/** Only what is proven to be left over is removed. */
function whyNotRemoved({ kind, inUse, empty }: UnixFile): string | null {
  if (kind === 'directory')
    return `it is a directory${empty === true ? ', and an empty one: rmdir removes it' : ''}; rebind removes only sockets`;
  if (kind !== 'socket') return 'it is not a socket, and rebind removes nothing else';
  if (inUse === true) return 'a program that is not visible from here has it open';
  return inUse === null ? 'this user cannot see whether a program has it open' : null;
}

function joined(...doubts: readonly (string | null)[]): string | null {
  const said = doubts.filter((doubt) => doubt !== null);
  return said.length === 0 ? null : said.join(', and ');
}

function unique(holders: readonly Holder[]): Holder[] {
  return [...new Map(holders.map((holder) => [holder.pid, holder])).values()].sort((a, b) => a.pid - b.pid);
}

function describe(socket: Socket): string {
  if (socket.protocol === 'unix') return formatEndpoint({ protocol: 'unix', path: socket.path });
  const local = formatAddress(socket.local.address, socket.local.port);
  const remote = socket.remote === null ? '' : ` to ${formatAddress(socket.remote.address, socket.remote.port)}`;
  return `${socket.protocol === 'udp' ? 'udp/' : ''}${local}${remote} (${socket.state})`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** `10 s`, `1.5 s`. */
function seconds(ms: number): string {
  return `${Math.ceil(ms / 100) / 10} s`;
}
