/**
 * Rows of the vectors on a real Mac: two sockets of this process, bound and listened on as in the row, and what the kernel answers.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isNativeError } from '../../src/os/errors.ts';
import type { Os } from '../../src/os/os.ts';
import type { Check } from './check.ts';

type Vectors = Readonly<Record<string, readonly (readonly number[])[]>> & {
  readonly newAddr: readonly string[];
  readonly existingAddr: readonly string[];
  readonly tcpState: readonly string[];
  readonly udpState: readonly string[];
};

const names: Readonly<Record<number, string>> = {
  0: 'success',
  48: 'EADDRINUSE',
  49: 'EADDRNOTAVAIL',
  [-1]: 'not tried',
};

/** Only what a Mac has without being configured. */
const isThere = (address: string): boolean => address !== '127.0.0.2' && address !== '::v4';

/** Rows of two sockets of one user, of which the first is bound or listens, as far as the sample has them. */
export function replay(os: Os, root: string): Check[] {
  const vectors = JSON.parse(readFileSync(join(root, 'test/fixtures/darwin-bind-sample.json'), 'utf8')) as Vectors;
  const first = (protocol: 'tcp' | 'udp'): Check[] =>
    (vectors[protocol] ?? []).flatMap(([state = 0, old = 0, oldFlags = 0, , to = 0, flags = 0, uidRel, errno = 0]) => {
      const kind = protocol === 'udp' ? vectors.udpState[state] : vectors.tcpState[state];
      const [one = '::v4', two = '::v4'] = [vectors.existingAddr[old], vectors.newAddr[to]];
      if ((kind !== 'bound' && kind !== 'listen') || uidRel !== 0 || !isThere(one) || !isThere(two)) return [];
      const seen = twoSockets(os, protocol, [one, oldFlags], kind === 'listen', [two, flags], false);
      return [
        {
          name: `${protocol} ${one} ${flagsOf(oldFlags)} (${kind}), then ${two} ${flagsOf(flags)}`,
          expected: names[errno] ?? String(errno),
          seen: seen.join(', '),
        },
      ];
    });
  const both = (vectors['listen2'] ?? []).flatMap(([a = 0, flagsA = 0, b = 0, flagsB = 0, uidRel, ...answers]) => {
    const [one = '::v4', two = '::v4'] = [vectors.newAddr[a], vectors.newAddr[b]];
    if (uidRel !== 0 || !isThere(one) || !isThere(two)) return [];
    return [
      {
        name: `tcp ${one} ${flagsOf(flagsA)} and ${two} ${flagsOf(flagsB)}, both listen`,
        expected: answers.map((errno) => names[errno] ?? String(errno)).join(', '),
        seen: twoSockets(os, 'tcp', [one, flagsA], false, [two, flagsB], true).join(', '),
      },
    ];
  });
  return [...first('tcp'), ...first('udp'), ...both];
}

/** The answers to: bind of the second, then with `both` listen of the first and of the second. */
function twoSockets(
  os: Os,
  protocol: 'tcp' | 'udp',
  [one, oneFlags]: readonly [string, number],
  listens: boolean,
  [two, twoFlags]: readonly [string, number],
  both: boolean,
): string[] {
  const open: number[] = [];
  const make = (address: string, flags: number): number => {
    const family = address.includes(':') ? 6 : 4;
    const fd = os.sockets.open(protocol, family);
    open.push(fd);
    const v6Only = address === '::only';
    os.sockets.setBindOptions(fd, family, {
      reuseAddress: (flags & 1) !== 0,
      reusePort: (flags & 2) !== 0,
      v6Only,
      device: null,
    });
    return fd;
  };
  const at = (address: string): string => (address === '::only' ? '::' : address);
  try {
    const first = make(one, oneFlags);
    os.sockets.bind(first, { protocol, address: at(one), port: 0 });
    const address = os.sockets.address(first);
    const port = address.protocol === 'unix' ? 0 : address.port;
    if (listens) os.sockets.listen(first, 5);
    const second = make(two, twoFlags);
    const bound = errnoOf(() => os.sockets.bind(second, { protocol, address: at(two), port }));
    if (!both) return [bound];
    const listened = errnoOf(() => os.sockets.listen(first, 5));
    return [bound, listened, bound === 'success' ? errnoOf(() => os.sockets.listen(second, 5)) : 'not tried'];
  } finally {
    for (const fd of open) os.sockets.close(fd);
  }
}

function errnoOf(call: () => void): string {
  try {
    call();
    return 'success';
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return error.code;
  }
}

function flagsOf(bits: number): string {
  return ['none', 'RA', 'RP', 'RA+RP'][bits] ?? String(bits);
}
