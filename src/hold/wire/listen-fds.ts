/**
 * Sockets that a service manager opened for this process (sd_listen_fds(3)).
 */
import { quoted } from '../../model/text.ts';
import type { Os } from '../../os/os.ts';

/** The first one; the others follow (SD_LISTEN_FDS_START). */
const firstDescriptor = 3;
/** More than any unit has; a wrong variable must not make us look at millions. */
const mostDescriptors = 1_024;

/** The descriptors that were passed to exactly this process; none when the variables belong to another one, or say no number. */
export function receivedDescriptors(environment: NodeJS.ProcessEnv): number[] {
  const count = whyNoCount(environment) === null ? Number(environment['LISTEN_FDS'] ?? 0) : 0;
  if (environment['LISTEN_PID'] !== String(process.pid)) return [];
  return Array.from({ length: count }, (_, index) => firstDescriptor + index);
}

/** What is wrong with the variables that were meant for exactly this process; null where nothing is. */
export function whyNoCount(environment: NodeJS.ProcessEnv): string | null {
  const { LISTEN_FDS: text, LISTEN_PID: pid } = environment;
  if (text === undefined || pid !== String(process.pid)) return null;
  if (/^\d+$/.test(text) && Number(text) <= mostDescriptors) return null;
  return `LISTEN_FDS is ${quoted(text)}: expected a number of descriptors from 0 to ${mostDescriptors}`;
}

/** Why a descriptor is no socket that a server could be started on, a clause about "it"; null when it is one. */
export function whyNotListener({ sockets }: Pick<Os, 'sockets'>, fd: number): string | null {
  const kind = sockets.kind(fd);
  // A number that was closed is one of Node's own by now.
  if (kind === null) return 'it is not a socket';
  if (kind === 'other' || kind === 'unix-datagram')
    return 'it is a socket of another kind than TCP, UDP or Unix stream';
  if (kind !== 'udp') return sockets.isListening(fd) ? null : 'it is a socket that does not listen';
  const address = sockets.address(fd);
  return address.protocol !== 'unix' && address.port !== 0 ? null : 'it is a UDP socket that is not bound to a port';
}
