/**
 * The addresses of a host, in the order that Node tries them, and where they came from.
 */

import { familyOf, shortestIpv6 } from '../model/address.ts';
import type { NameEvidence } from '../model/reach/evidence.ts';
import { isLiteral } from '../model/reach/target.ts';
import type { Reaching } from '../os/reaching.ts';
import { uptimeMs } from '../os/uptime.ts';

/** More addresses than this say nothing new. */
const mostAddresses = 8;

/** Asks getaddrinfo(3), as a client would. A resolver that stays silent ends at `timeoutMs`. */
export async function resolve(
  host: string,
  instruments: Reaching,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<NameEvidence> {
  const none = { host, hosts: null, dns: null, servers: null, searchDomains: [] };
  if (isLiteral(host)) {
    const address = familyOf(host) === 6 ? shortestIpv6(host) : host;
    return { ...none, addresses: [{ address, from: 'literal' }], errno: null, elapsedMs: 0 };
  }
  const started = uptimeMs();
  const { hosts, searchDomains, nameServers } = instruments.nameFiles(host);
  const looked = await lookUp(host, timeoutMs, signal);
  const elapsedMs = uptimeMs() - started;
  const inHosts = new Set((hosts ?? []).map(({ address }) => address));
  const addresses = interleaved(looked.addresses)
    .slice(0, mostAddresses)
    .map((address) => ({ address, from: inHosts.has(address) ? ('hosts' as const) : ('dns' as const) }));
  const failed = looked.errno !== null;
  return {
    host,
    addresses,
    errno: looked.errno,
    elapsedMs,
    hosts,
    searchDomains,
    // What DNS says matters where the hosts file said something else; `localhost` is nobody's to look up (RFC 6761).
    dns: !failed && inHosts.size > 0 && !isLocalhost(host) ? await askDns(host, timeoutMs) : null,
    servers: failed && !isLocalhost(host) ? await askServers(host, nameServers, timeoutMs) : null,
  };
}

/** RFC 6761, section 6.3. */
export function isLocalhost(host: string): boolean {
  return /^(?:.*\.)?localhost\.?$/i.test(host);
}

async function lookUp(
  host: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<{ addresses: string[]; errno: string | null }> {
  const { lookup } = process.getBuiltinModule('node:dns').promises;
  // getaddrinfo(3) cannot be interrupted: its thread ends when the resolver gives up.
  const asked = lookup(host, { all: true, order: 'verbatim' }).then(
    (found) => ({ addresses: found.map(({ address }) => address), errno: null }),
    (error: NodeJS.ErrnoException) => ({ addresses: [], errno: error.code ?? 'EAI_FAIL' }),
  );
  return within(asked, timeoutMs, signal, { addresses: [], errno: 'ETIMEDOUT' });
}

/** The first family first, then in turns, as net.connect does with `autoSelectFamily`. */
function interleaved(addresses: readonly string[]): string[] {
  const unique = [...new Set(addresses)];
  const [first] = unique;
  if (first === undefined) return [];
  const same = unique.filter((address) => familyOf(address) === familyOf(first));
  const other = unique.filter((address) => familyOf(address) !== familyOf(first));
  return same.flatMap((address, index) => [address, ...other.slice(index, index + 1)]).concat(other.slice(same.length));
}

/** What DNS answers, whatever the hosts file says. */
async function askDns(host: string, timeoutMs: number): Promise<NameEvidence['dns']> {
  const { Resolver } = process.getBuiltinModule('node:dns').promises;
  const resolver = new Resolver({ timeout: Math.min(1_000, timeoutMs), tries: 1 });
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (addresses.length > 0) return { errno: null, addresses };
  const failed = answers.find((answer) => answer.status === 'rejected');
  return { errno: (failed?.reason as NodeJS.ErrnoException | undefined)?.code ?? 'ENODATA', addresses };
}

/** What each name server of resolv.conf(5) does with the question. Only these servers are asked, as the look-up did. */
async function askServers(
  host: string,
  servers: readonly string[],
  timeoutMs: number,
): Promise<NameEvidence['servers']> {
  const { Resolver } = process.getBuiltinModule('node:dns').promises;
  return Promise.all(
    servers.slice(0, 3).map(async (address) => {
      try {
        const resolver = new Resolver({ timeout: Math.min(1_000, timeoutMs), tries: 1 });
        resolver.setServers([familyOf(address) === 6 ? `[${address}]` : address]);
        await resolver.resolve4(host);
        return { address, says: 'answers' as const };
      } catch (error) {
        return { address, says: sayOf((error as NodeJS.ErrnoException).code ?? '') };
      }
    }),
  );
}

function sayOf(code: string): 'answers' | 'refused' | 'silent' | null {
  switch (code) {
    case 'ENOTFOUND':
    case 'ENODATA':
      return 'answers';
    case 'ECONNREFUSED':
    case 'EREFUSED':
    case 'ESERVFAIL':
      return 'refused';
    case 'ETIMEOUT':
      return 'silent';
    default:
      return null;
  }
}

function within<T>(work: Promise<T>, ms: number, signal: AbortSignal | undefined, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(() => resolve(late)), ms);
    const abort = (): void => finish(() => reject(signal?.reason));
    const finish = (end: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      end();
    };
    signal?.addEventListener('abort', abort, { once: true });
    void work.then((value) => finish(() => resolve(value)));
  });
}
