/** What `readFacts` saw of sockets that are known, and what the rules make of it. */
import type { BindOptions, InetEndpoint } from '../../src/model/endpoint.ts';
import type { Facts, InetSocket } from '../../src/model/facts.ts';
import { linux as rules } from '../../src/model/rules/linux.ts';
import { canonical } from '../../src/model/rules/span.ts';
import { linux } from '../../src/os/linux/index.ts';
import { as } from './calls.ts';
import type { Entry } from './entry.ts';

/**
 * Reads the port before a bind. The result takes the kernel's answer to that bind and lists what does not fit:
 * a socket that was not seen or seen wrong, an outcome that the rules over what was read do not allow.
 *
 * @param showsBound False on a kernel whose tables lack bound sockets: then they are only looked for when nothing else explains a failure.
 */
export function compareReading(
  entries: readonly Entry[],
  endpoint: InetEndpoint,
  options: BindOptions,
  uid: number,
  showsBound: boolean,
): (errno: string | null) => string[] {
  const request = { endpoint, options };
  const facts = as(uid, () => linux.readFacts(request, { holders: 'none' }));
  const seen = facts.sockets.filter(
    (socket): socket is InetSocket => socket.protocol === endpoint.protocol && socket.local.port === endpoint.port,
  );
  const { pairs, wrong } = match(entries, seen, showsBound);
  const full: Facts = { ...facts, sockets: pairs.map(([entry, socket]) => reveal(entry, socket)) };
  const asRead = rules.predict(request, facts).possible;
  const revealed = rules.predict(request, full).possible;
  return (errno) => {
    const found = [...wrong];
    if (!asRead.includes(errno)) found.push(`read facts allow ${asRead.join()}, kernel ${errno ?? 'ok'}`);
    if (!revealed.includes(errno)) found.push(`full facts allow ${revealed.join()}, kernel ${errno ?? 'ok'}`);
    // Before 6.8 the rules leave more open: which wildcards the kernel overlooks.
    if (showsBound && revealed.length > 1 && !options.reusePort && !options.reuseAddress) {
      found.push(`full facts leave ${revealed.join()} open`);
    }
    return found;
  };
}

function match(
  entries: readonly Entry[],
  seen: readonly InetSocket[],
  showsBound: boolean,
): { pairs: [Entry, InetSocket][]; wrong: string[] } {
  const pairs: [Entry, InetSocket][] = [];
  const wrong: string[] = [];
  const left = new Set(seen);
  for (const entry of entries) {
    const socket = seen.find((candidate) => same(entry, candidate));
    if (socket === undefined) {
      if (showsBound || entry.protocol !== 'tcp' || entry.state !== 'BOUND')
        wrong.push(`not seen: ${JSON.stringify(entry)}`);
      continue;
    }
    left.delete(socket);
    pairs.push([entry, socket]);
    for (const what of differences(entry, socket))
      wrong.push(`${what}: ${JSON.stringify(entry)} ${JSON.stringify(socket)}`);
  }
  for (const socket of left) wrong.push(`seen, but not there: ${JSON.stringify(socket)}`);
  return { pairs, wrong };
}

function same(entry: Entry, socket: InetSocket): boolean {
  if (entry.fd !== null) return entry.inode === socket.inode;
  return socket.inode === 0 && socket.remote?.port === entry.remotePort;
}

function differences(entry: Entry, socket: InetSocket): string[] {
  const hiddenOr = (read: boolean | null, known: boolean): boolean => read === null || read === known;
  const checks: [string, boolean][] = [
    ['family', socket.family === entry.family],
    ['address', canonical(socket.local.address) === canonical(entry.address)],
    ['state', socket.state === entry.state],
    ['mini', socket.linux?.mini === entry.mini],
    ['user', entry.mini || socket.uid === entry.uid],
    ['device', socket.device === entry.device],
    ['reuse address', hiddenOr(socket.reuseAddress, entry.reuseAddress)],
    ['reuse port', hiddenOr(socket.reusePort, entry.reusePort)],
    ['v6only', entry.family === 4 || hiddenOr(socket.v6Only, entry.v6Only)],
    ['remaining time', entry.mini === (socket.expiresInMs !== null)],
  ];
  return checks.filter(([, ok]) => !ok).map(([what]) => what);
}

/** The socket as it was read, with the hidden flags filled in. */
function reveal(entry: Entry, socket: InetSocket): InetSocket {
  const { reuseAddress, reusePort, v6Only } = entry;
  return { ...socket, reuseAddress, reusePort, v6Only };
}
