/** System calls of the live test: as another user, with one port to choose from, and with their failures as values. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isNativeError } from '../../src/os/errors.ts';
import { linux } from '../../src/os/linux/index.ts';
import type { Entry } from './entry.ts';

const { sockets } = linux;
const automaticPorts = '/proc/sys/net/ipv4/ip_local_port_range';

/** The errno name of a call that may fail, null when it worked. */
export function attempt(call: () => unknown): string | null {
  try {
    call();
    return null;
  } catch (error) {
    if (isNativeError(error)) return error.code;
    throw error;
  }
}

/** Runs it with this effective user: a socket belongs to the fsuid of the process that opened or accepted it. */
export function as<T>(uid: number, call: () => T): T {
  const own = process.geteuid?.() ?? uid;
  if (uid === own) return call();
  process.seteuid?.(uid);
  try {
    return call();
  } finally {
    process.seteuid?.(own);
  }
}

/** Leaves the kernel one port to choose from. */
export function withOnlyPort<T>(port: number, call: () => T): T {
  const before = readFileSync(automaticPorts, 'latin1');
  writeFileSync(automaticPorts, `${port} ${port}`);
  try {
    return call();
  } finally {
    writeFileSync(automaticPorts, before);
  }
}

/** A connection of one of these listeners, accepted as this user; null when none arrives. */
export async function acceptFrom(
  listeners: readonly Entry[],
  uid: number,
): Promise<{ fd: number; listener: Entry } | null> {
  for (let look = 0; look < 10; look++) {
    for (const listener of listeners) {
      const { fd } = listener;
      const accepted = fd === null ? null : as(uid, () => sockets.accept(fd));
      if (accepted !== null) return { fd: accepted, listener };
    }
    await delay(1);
  }
  return null;
}

/** The connection that must arrive at this listener. */
export async function acceptOne(listener: number): Promise<number> {
  for (let look = 0; look < 500; look++) {
    const accepted = sockets.accept(listener);
    if (accepted !== null) return accepted;
    await delay(2);
  }
  throw new Error('The connection never arrived');
}
