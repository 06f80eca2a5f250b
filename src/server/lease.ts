/**
 * A port that is the same each time for who asks: a test suite, a worktree.
 */
import { resolve } from 'node:path';
import { lockLease } from '../act/lock.ts';
import { checkNames, show } from '../check.ts';
import { BlockedPortError } from '../errors.ts';
import { nodeTcpOptions } from '../model/endpoint.ts';
import { leasePorts } from '../model/lease-ports.ts';
import { os } from '../os/index.ts';
import { type Reservation, type ReserveOptions, reserve } from './reserve.ts';

/** Who asks, and how firmly. */
export interface LeaseOptions extends Omit<ReserveOptions, 'port'> {
  /** Who asks; the same text gets the same port, if it is free. @default the working directory */
  readonly key?: string;
}

/**
 * Reserves a port that stays the same from one run to the next, below the automatic ports, so that nobody gets it by chance. While it is taken, by
 * another run of the same suite, the next one is given.
 *
 * @throws {BlockedPortError} when none of two hundred is free. @throws {TypeError} {RangeError} for wrong arguments.
 * @example
 * ```ts
 * const leased = await lease({ key: 'shop-e2e' });
 * const child = spawn('node', ['server.js'], { env: { ...process.env, PORT: String(leased.port) } });
 * child.on('exit', () => leased.release());
 * ```
 */
export async function lease(options: LeaseOptions = {}): Promise<Reservation> {
  checkNames('lease()', options, ['key', 'host', 'protocol', 'exclusive']);
  const { key = resolve('.'), ...rest } = options;
  if (typeof key !== 'string') throw new TypeError(`key is a text, not ${show(key)}`);
  let blocked: unknown = null;
  const lock = await lockLease(os());
  try {
    for (const port of portsFor(key)) {
      try {
        // One that is reserved already would let a second reservation beside it.
        if (rest.exclusive !== true) (await reserve({ ...rest, port, exclusive: true })).release();
        return await reserve({ ...rest, port });
      } catch (error) {
        if (!(error instanceof BlockedPortError)) throw error;
        blocked ??= error;
      }
    }
  } finally {
    lock.release();
  }
  throw blocked ?? new RangeError('Every port that could be leased is one that the system chooses by itself');
}

/** The ports to try for this key on this system. */
export function portsFor(key: string): readonly number[] {
  const endpoint = { protocol: 'tcp', address: '127.0.0.1', port: 1 } as const;
  const { settings } = os().readFacts({ endpoint, options: nodeTcpOptions }, { holders: 'none' });
  return leasePorts(key, settings.automaticPorts);
}
