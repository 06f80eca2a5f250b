/**
 * Remedies that several causes name. Every command can be pasted as it stands.
 */
import { formatEndpoint, type Request } from '../../model/endpoint.ts';
import type { InetSocket } from '../../model/facts.ts';
import { isLeftover } from '../../model/leftover.ts';
import { rulesFor } from '../../model/rules/index.ts';
import { shellWord } from '../../model/text.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { holdersOf } from './kinds.ts';
import { clock, lower, processes, who } from './words.ts';

/** The endpoint as a person would type it for rebind, with the options that differ from Node's. */
export function typed({ endpoint, options }: Request): string {
  if (endpoint.protocol === 'unix') return shellWord(formatEndpoint(endpoint));
  const { protocol, address, port } = endpoint;
  const text =
    address === '::' && !options.v6Only ? `${protocol === 'udp' ? 'udp/' : ''}${port}` : formatEndpoint(endpoint);
  const flags = [
    ...(options.reuseAddress === (protocol === 'tcp')
      ? []
      : [options.reuseAddress ? '--reuse-address' : '--no-reuse-address']),
    ...(options.reusePort ? ['--reuse-port'] : []),
    ...(options.v6Only ? ['--v6-only'] : []),
  ];
  return [shellWord(text), ...flags].join(' ');
}

/** What frees the endpoint: as the administrator where this user may not. */
export function rebindFree(question: Question, allowed: boolean): string {
  const command = `rebind free ${typed(question.request)}`;
  return allowed ? command : question.advice.asAdministrator(command);
}

/**
 * Gets rid of the connections of programs that are no servers on this port, a browser or a database for instance; rebind
 * does neither unless it is told to. Cutting a connection frees a port that the kernel chose for it, and its program goes
 * on. A port that the program named itself stays its own, so it must end (SOCK_DESTROY, net/ipv4/tcp.c: tcp_abort).
 */
export function cutConnections(sockets: readonly InetSocket[], question: Question): Remedy[] {
  const keepers = holdersOf(
    sockets.filter(({ autoPort }) => autoPort === false),
    question,
  );
  if (keepers.length > 0) {
    const pids = keepers.map(({ pid }) => pid);
    return [
      {
        remedy: 'stop-process',
        sentence: `Stop ${processes(keepers.map(who), 0)} if you do not need ${pids.length === 1 ? 'it' : 'them'}, then wait up to a minute for the leftover connection`,
        command: `kill ${pids.join(' ')} && rebind wait ${typed(question.request)}`,
        automatic: false,
        args: { pids },
      },
    ];
  }
  const owned = sockets.filter((socket) => !isLeftover(socket));
  const [first] = owned;
  if (first === undefined || !question.advice.leftovers.removable) return [];
  const owners = holdersOf(owned, question);
  const allowed = question.facts.settings.mayAdministerNetwork === true;
  return [
    {
      remedy: 'remove-leftovers',
      sentence: `Cut ${owned.length === 1 ? 'the connection' : 'the connections'} of ${lower(processes(owners.map(who), first.uid))}, if that program does not need it`,
      command: `${rebindFree(question, allowed)} --force`,
      automatic: false,
      args: { cookies: owned.flatMap(({ linux }) => linux?.cookie ?? []) },
    },
  ];
}

/** Waiting for the last of these sockets; `null` when nobody knows how long. */
export function wait(sockets: readonly InetSocket[], question: Question): Remedy {
  const waitMs = longest(sockets);
  const until = waitMs === null ? null : question.facts.readAtMs + waitMs;
  // Its client may still close: then TIME_WAIT begins, which is 60 seconds, whatever had passed before.
  const halfClosed = sockets.some(({ state }) => state === 'FIN_WAIT2');
  return {
    remedy: 'wait',
    sentence:
      waitMs === null || until === null
        ? 'Wait until the connection ends'
        : `Wait until ${clock(until)}${halfClosed ? ', or a minute after the client closes' : ''}`,
    command: `rebind wait ${typed(question.request)}`,
    // `rebind free` waits out a second by itself, and more only with --timeout.
    automatic: waitMs !== null && waitMs <= 1_000,
    args: { waitMs, until: until === null ? null : new Date(until).toISOString() },
  };
}

/** Milliseconds until the last of these sockets ends by itself, or null when one does not say. */
export function longest(sockets: readonly InetSocket[]): number | null {
  let most = 0;
  for (const { expiresInMs } of sockets) {
    if (expiresInMs === null) return null;
    most = Math.max(most, expiresInMs);
  }
  return most;
}

/** Removing what no process has open (SOCK_DESTROY of sock_diag(7)). */
export function removeLeftovers(sockets: readonly InetSocket[], question: Question): Remedy[] {
  if (sockets.length === 0 || !question.advice.leftovers.removable) return [];
  const allowed = question.facts.settings.mayAdministerNetwork === true;
  const what = sockets.length === 1 ? 'the leftover connection' : `the ${sockets.length} leftover connections`;
  return [
    {
      remedy: 'remove-leftovers',
      sentence: `Remove ${what} now${allowed ? '' : ' (needs root)'}; no process has ${sockets.length === 1 ? 'it' : 'them'} open`,
      command: rebindFree(question, allowed),
      automatic: allowed,
      args: { cookies: sockets.flatMap(({ linux }) => linux?.cookie ?? []) },
    },
  ];
}

/** A loopback address where the request is sure to work, when it asked for more than one address. */
export function useLoopback(question: Question): Remedy[] {
  const { endpoint } = question.request;
  if (endpoint.protocol === 'unix') return [];
  // Both, where both were wanted: with a stranger on the other one, `localhost` would lead to either.
  const loopback = { '::': ['127.0.0.1', '::1'], '0.0.0.0': ['127.0.0.1'] }[endpoint.address] ?? [];
  const [address] = loopback;
  const free = loopback.every((candidate) => worksWith(question, { endpoint: { ...endpoint, address: candidate } }));
  if (address === undefined || !free) return [];
  return [
    {
      remedy: 'use-address',
      sentence: `Listen on ${address} only, which is available, if no client connects from another machine`,
      command: null,
      automatic: false,
      args: { address },
    },
  ];
}

/** Another address, where the request is sure to work there. @param sentence Without a full stop. */
export function useAddress(question: Question, address: string, sentence: string): Remedy[] {
  const { endpoint } = question.request;
  if (endpoint.protocol === 'unix' || endpoint.address === address) return [];
  if (!worksWith(question, { endpoint: { ...endpoint, address } })) return [];
  return [{ remedy: 'use-address', sentence, command: null, automatic: false, args: { address } }];
}

/** Keeps the kernel from giving the port to a client again; the ports that are reserved already stay so. */
export function reservePort(question: Question): Remedy[] {
  const { endpoint } = question.request;
  if (endpoint.protocol === 'unix') return [];
  const { reservedPorts, automaticPorts } = question.facts.settings;
  const { port } = endpoint;
  const reserved = reservedPorts.some(([first, last]) => port >= first && port <= last);
  // Outside of the range no client is ever given the port, so there is nothing to reserve it from.
  if (reserved || automaticPorts === null || port < automaticPorts[0] || port > automaticPorts[1]) return [];
  const command = question.advice.reserve([...reservedPorts, [port, port]]);
  if (command === null) return [];
  return [
    {
      remedy: 'reserve-port',
      sentence: `Keep the kernel from giving port ${port} to outgoing connections until reboot`,
      command,
      automatic: false,
      args: { port },
    },
  ];
}

/** Whether the request is sure to work with something changed, by the rules and everything that was read. */
export function worksWith(question: Question, change: Partial<Request>): boolean {
  const rules = rulesFor(question.facts.platform);
  if (rules === null) return false;
  const { possible } = rules.predict({ ...question.request, ...change }, question.facts);
  return possible.length === 1 && possible[0] === null;
}
