/**
 * Ports for stages, and what the kernel's tables say about them.
 */
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { isNativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import { tcpStates as stateNames } from '../os/linux/tcp-states.ts';

const tries = 1000;
const settleMs = 5_000;
const glanceMs = 2;

/**
 * A port that nobody has on any address, TCP or UDP. It lies outside of the automatic range, so that no client is given it
 * between this call and its use.
 */
export function freePort(): number {
  const [first = 32_768, last = 60_999] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  const [from, to] = first > 12_000 ? [10_000, first] : last < 60_000 ? [last + 1, 65_536] : [10_000, 65_536];
  for (let i = 0; i < tries; i++) {
    const port = randomInt(from, to);
    if (isFree('tcp', port) && isFree('udp', port)) return port;
  }
  throw new Error(`no free port found between ${from} and ${to - 1}`);
}

function isFree(protocol: 'tcp' | 'udp', port: number): boolean {
  const { sockets } = os();
  const family = existsSync('/proc/net/if_inet6') ? 6 : 4;
  const fd = sockets.open(protocol, family);
  try {
    sockets.setBindOptions(fd, family, { reuseAddress: false, reusePort: false, v6Only: false, device: null });
    sockets.bind(fd, { protocol, address: family === 6 ? '::' : '0.0.0.0', port });
    return true;
  } catch (error) {
    if (isNativeError(error) && error.code === 'EADDRINUSE') return false;
    throw error;
  } finally {
    sockets.close(fd);
  }
}

/** The states of every TCP socket with this local port, or of those with that remote port, as the kernel's tables have them now. */
export function tcpStates(port: number, remotePort: number | null = null): string[] {
  const ending = (number: number): string => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;
  const states: string[] = [];
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    if (!existsSync(table)) continue;
    for (const line of readFileSync(table, 'utf8').split('\n')) {
      const [, local, remote, state] = line.trim().split(/\s+/);
      if (local?.endsWith(ending(port)) && (remotePort === null || remote?.endsWith(ending(remotePort))))
        states.push(stateNames[Number.parseInt(state ?? '', 16) - 1] ?? '');
    }
  }
  return states;
}

/** See `Stage.settled`. The kernel tells nobody of these changes, so the table is read until it is so. */
export async function settled(port: number, wanted: (states: readonly string[]) => boolean): Promise<void> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const states = tcpStates(port);
    if (wanted(states)) return;
    if (performance.now() > deadline)
      throw new Error(`port ${port} did not settle; its sockets are: ${states.join(', ') || 'none'}`);
    await setTimeout(glanceMs);
  }
}
