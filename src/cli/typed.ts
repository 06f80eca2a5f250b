/**
 * From the words that a person types to endpoints: lists, ranges, URLs and names of services stand for endpoints that `parseEndpoint` reads.
 */
import { readFileSync } from 'node:fs';
import { quoted } from '../model/text.ts';
import { UsageError } from './usage.ts';

/** More is a mistake: the answer would be longer than anybody reads. */
const longestRange = 1024;

/** Ports of URLs that name none. */
const schemes: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'ws:': 80,
  'wss:': 443,
  'ftp:': 21,
  'ssh:': 22,
  'redis:': 6379,
  'rediss:': 6379,
  'postgres:': 5432,
  'postgresql:': 5432,
  'mysql:': 3306,
  'mongodb:': 27017,
  'amqp:': 5672,
  'amqps:': 5671,
  'nats:': 4222,
};

/**
 * The endpoints that some words stand for, each once, as `parseEndpoint` reads them.
 *
 * @throws {UsageError}
 * @example
 * ```ts
 * endpointsIn(['3000-3002', 'http://localhost:8080/a']); // ['3000', '3001', '3002', '8080']
 * ```
 */
export function endpointsIn(words: readonly string[]): string[] {
  return [...new Set(words.flatMap(partsOf).flatMap(expanded))];
}

/** A comma separates ports; in the path of a socket it is part of a name. */
function partsOf(word: string): string[] {
  const isList = word.includes(',') && !/[/\\]/.test(word.replace(/\b(udp|tcp)\//g, ''));
  if (!isList) return [word];
  const parts = word.split(',');
  if (parts.includes(''))
    throw new UsageError(`${quoted(word)}: expected a port on each side of a comma, such as 3000,3001`);
  return parts;
}

function expanded(word: string): string[] {
  if (/^\d+$/.test(word)) return [word];
  const range = /^(?<before>(?:(?:udp|tcp)\/)?(?:[\w.[\]:%-]*:)?)(?<first>\d+)-(?<last>\d*)$/.exec(word)?.groups;
  if (range !== undefined) return rangeOf(word, range['before'] ?? '', range['first'] ?? '', range['last'] ?? '');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(word)) return [fromUrl(word)];
  const service = servicePort(word);
  return [service ?? word];
}

function rangeOf(word: string, before: string, firstText: string, lastText: string): string[] {
  const [first, last] = [Number(firstText), Number(lastText)];
  const fail = (what: string): never => {
    throw new UsageError(`${quoted(word)}: ${what}`);
  };
  if (lastText === '' || first < 1 || last > 65_535)
    fail('expected a range of ports from 1 to 65535, such as 3000-3010');
  if (last < first) fail(`the range ends before it begins; expected ${last}-${first}`);
  if (last - first >= longestRange) fail(`a range has at most ${longestRange} ports`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${before}${first + index}`);
}

/** A server for `localhost` listens on any local address, so only the port is asked about. */
function fromUrl(word: string): string {
  let url: URL;
  try {
    url = new URL(word);
  } catch {
    throw new UsageError(`${quoted(word)} is not a valid URL; expected one such as http://localhost:3000`);
  }
  const port = url.port === '' ? schemes[url.protocol] : Number(url.port);
  if (port === undefined || url.hostname === '')
    throw new UsageError(`${quoted(word)} names no port; expected one such as http://localhost:3000`);
  return url.hostname === 'localhost' ? String(port) : `${url.hostname}:${port}`;
}

/**
 * The port of a service by name (services(5)), as an endpoint; null when the name is none, or this system has no list of them.
 *
 * @example
 * ```ts
 * servicePort('ssh'); // '22'
 * ```
 */
export function servicePort(name: string): string | null {
  if (!/^[a-z][a-z0-9+-]*$/i.test(name) || name === 'localhost') return null;
  let text: string;
  try {
    text = readFileSync('/etc/services', 'utf8');
  } catch {
    // Not installed, as in most containers.
    return null;
  }
  const found = text.split('\n').flatMap((line) => {
    const [first, place = '', ...aliases] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    const match = /^(\d+)\/(tcp|udp)$/.exec(place);
    return match !== null && [first, ...aliases].includes(name) ? [match] : [];
  });
  const best = found.find(([, , protocol]) => protocol === 'tcp') ?? found[0];
  if (best === undefined) return null;
  return best[2] === 'udp' ? `udp/${best[1]}` : (best[1] ?? null);
}
