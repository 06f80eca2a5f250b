/**
 * Words that several causes use in their sentences, so that the same thing is always called the same.
 */

import { formatAddress } from '../../model/address.ts';
import { formatEndpoint } from '../../model/endpoint.ts';
import type { Holder, InetSocket } from '../../model/facts.ts';
import { managedBy } from '../../model/manager-words.ts';
import { programName } from '../../model/program.ts';
import type { Question } from '../../model/verdict.ts';

/** A process in the arguments of a cause. */
export interface Who {
  readonly pid: number;
  /** The kernel's name. */
  readonly command: string;
  /** The name that its user knows it by. */
  readonly program: string;
  readonly user: string;
  /** The process of the same list that forked it, or null: a worker is counted, not named. */
  readonly workerOf: number | null;
}

const namedProcesses = 3;

/** @internal UDP ports on which every program of a machine listens for multicast (IANA): mDNS, SSDP, LLMNR. */
export const multicastPorts: Readonly<Record<number, string>> = { 5353: 'mDNS', 1900: 'SSDP', 5355: 'LLMNR' };

/** @internal For `map`: the list tells workers from the process that forked them. */
export function who(holder: Holder, _index = 0, all: readonly Holder[] = []): Who {
  const { pid, command, user, parents } = holder;
  const top = parents.findLast((parent) => all.some((other) => other.pid === parent.pid));
  return { pid, command, program: programName(holder), user, workerOf: top?.pid ?? null };
}

/** @internal What started these processes, as the end of a sentence: "; pm2 (pid 30) runs it as shop". Empty where nothing is known. */
export function managed(holders: readonly Holder[], question: Question): string | null {
  const said = new Set(holders.flatMap(({ pid }) => question.managers.get(pid) ?? []).map(managedBy));
  return said.size === 0 ? null : [...said].slice(0, namedProcesses).join('; ');
}

/** @internal The end of a sentence, after a semicolon. */
export function andThen(clause: string | null): string {
  return clause === null ? '' : `; ${clause}`;
}

/** @internal `[::]:3000`, `udp/0.0.0.0:53`, `/run/app.sock`. */
export function asked(question: Question): string {
  return formatEndpoint(question.request.endpoint);
}

/** @internal What `asked` or `localOf` wrote, in a sentence: `port 3000` for a wildcard that was asked for. */
export function inWords(text: string, endpoint: string = text): string {
  if (text !== endpoint) return text;
  const [, udp, port] = /^(udp\/)?(?:\[::\]|0\.0\.0\.0):(\d+)$/.exec(text) ?? [];
  return port === undefined ? text : `${udp === undefined ? '' : 'UDP '}port ${port}`;
}

/** @internal Where sockets are: the user's own words for the endpoint that was asked about, else the address. */
export function places(at: readonly string[], endpoint: string): string {
  // A port alone is every address of both families.
  const twin = endpoint.replace('[::]:', '0.0.0.0:');
  const all = at.includes(endpoint) && twin !== endpoint ? at.filter((text) => text !== twin) : at;
  return list(all.map((text) => inWords(text, endpoint)));
}

/** @internal At the beginning of a sentence. */
export function capital(words: string): string {
  return words.replace(/^port /, 'Port ');
}

/** @internal The local end of a socket, `127.0.0.1:3000`, whatever family the socket is of. */
export function localOf(socket: InetSocket): string {
  const text = formatAddress(unmapped(socket.local.address), socket.local.port);
  return socket.protocol === 'udp' ? `udp/${text}` : text;
}

/** @internal The other end, `127.0.0.1:5432`, or null without a connection. */
export function remoteOf(socket: InetSocket): string | null {
  return socket.remote === null ? null : formatAddress(unmapped(socket.remote.address), socket.remote.port);
}

/** `::ffff:127.0.0.1` is 127.0.0.1 to everybody but the kernel. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}

/** @internal `node server.js (pid 41)`, `nginx: master process (pid 41) with 3 workers`, or the user where the process is not visible. */
export function processes(holders: readonly Who[], uid: number): string {
  if (holders.length === 0) return uid === 0 ? 'A process of root' : `A process of uid ${uid}`;
  const tops = holders.filter(({ workerOf }) => workerOf === null);
  const words = tops.slice(0, namedProcesses).map(({ program, pid }) => {
    const workers = holders.filter(({ workerOf }) => workerOf === pid).length;
    return `${program} (pid ${pid})${workers === 0 ? '' : ` with ${workers} ${workers === 1 ? 'worker' : 'workers'}`}`;
  });
  const more = tops.length - words.length;
  return list(more === 0 ? words : [...words, `${more} more ${more === 1 ? 'process' : 'processes'}`]);
}

/** @internal How many processes `processes` names: a verb agrees with them. */
export function named(holders: readonly Who[]): number {
  return holders.filter(({ workerOf }) => workerOf === null).length;
}

/** @internal "A process of root" inside of a sentence; names of programs stay as they are. */
export function lower(words: string): string {
  return words.replace(/^A process /, 'a process ');
}

/** `a`, `a and b`, `a, b and c`. */
export function list(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}

/** `verb` for one, `verbs` for several: "listens", "listen". */
export function agree(count: number, one: string, many: string): string {
  return count > 1 ? many : one;
}

/** "listens" for TCP, "receives" for UDP, which has no listeners. */
export function hears(protocol: 'tcp' | 'udp', count: number): string {
  return protocol === 'udp' ? agree(count, 'receives', 'receive') : agree(count, 'listens', 'listen');
}

/** `1 second`, `42 seconds`, rounded up: a time that is over too early is a broken promise. */
export function seconds(ms: number): string {
  const count = Math.max(0, Math.ceil(ms / 1000));
  return count === 1 ? '1 second' : `${count} seconds`;
}

/** `14:03:12`, in the reader's time zone, rounded up to the second. */
export function clock(atMs: number): string {
  const date = new Date(Math.ceil(atMs / 1000) * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** A wildcard in words: "every address", "every IPv4 address". */
export function reach(address: string, v6Only: boolean): string {
  if (address === '::') return v6Only ? 'every IPv6 address' : 'every IPv4 and IPv6 address';
  return address === '0.0.0.0' || address === '::ffff:0.0.0.0' ? 'every IPv4 address' : address;
}

/** For a path whose file system makes no sockets. */
export const onOtherFileSystem =
  'Use a path on a file system that supports sockets, such as below /run, $XDG_RUNTIME_DIR or /tmp';
