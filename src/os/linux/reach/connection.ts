/**
 * A connection of our own that stands: what the kernel knows of it (tcp_info, tcp(7)), and of its other end where that is on this machine.
 */

import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { Connected, Reply } from '../../../model/reach/evidence.ts';
import { littleEndian } from '../../byte-order.ts';
import { isNativeError } from '../../errors.ts';
import type { ReachConnection } from '../../reaching.ts';
import { uptimeMs } from '../../uptime.ts';
import { events } from '../calls/events.ts';
import { libc } from '../calls/libc.ts';
import { getNative, type NativeOption, peerAddress, sockets } from '../calls/socket.ts';
import { tcpInfo } from '../tcp-info.ts';
import { socketFor } from './port-sockets.ts';

const TCP_INFO: NativeOption = { level: 6, name: 11 };
/** Fields of struct tcp_info that not every kernel has: tcpi_notsent_bytes (4.6), tcpi_snd_wnd (5.4). */
const notSentAt = 144;
const sendWindowAt = 228;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;
const mostBytes = 4_096;

/** @param fd A connected stream socket; closed with the connection. */
export function connection(fd: number): ReachConnection {
  const local = sockets.address(fd) as InetEndpoint;
  const remote = peerAddress(fd) as InetEndpoint;
  return {
    look: (gaps) => ({
      local: { address: local.address, port: local.port },
      remote: { address: remote.address, port: remote.port },
      mirror: mirrorOf(local, remote, gaps),
      info: infoOf(fd),
    }),
    read: (timeoutMs, signal) => readReply(fd, timeoutMs, signal),
    send: (bytes) => sendNow(fd, bytes),
    close: () => sockets.close(fd),
  };
}

/** The other end of the connection, as the kernel would look it up for a packet of ours. A listener in its place is not it. */
function mirrorOf(local: InetEndpoint, remote: InetEndpoint, gaps: Gap[]): Connected['mirror'] {
  const found = socketFor({ protocol: 'tcp', from: local, to: remote, deviceIndex: 0 }, gaps)?.found ?? null;
  if (found === null || found.remote === null) return null;
  return { state: found.state, inode: found.inode };
}

function infoOf(fd: number): Connected['info'] {
  let bytes: Buffer;
  try {
    bytes = getNative(fd, TCP_INFO, 256);
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  }
  const { unacknowledged, retransmits } = tcpInfo.decode(bytes);
  const at = (offset: number): number | null =>
    bytes.length < offset + 4 ? null : littleEndian ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
  return { unacknowledged, retransmits, sendWindow: at(sendWindowAt), notSent: at(notSentAt) };
}

/** What the other side does within the time: bytes, an end, a reset, or nothing. */
export async function readReply(fd: number, timeoutMs: number, signal?: AbortSignal): Promise<Reply> {
  const began = uptimeMs();
  const buffer = Buffer.alloc(mostBytes);
  const reply = (kind: Reply['kind'], length = 0): Reply => ({
    kind,
    bytes: buffer.toString('base64', 0, length),
    elapsedMs: uptimeMs() - began,
  });
  for (;;) {
    const length = libc().recv(fd, buffer, buffer.length, MSG_DONTWAIT);
    if (length > 0) return reply('bytes', length);
    if (length === 0) return reply('end');
    const errno = libc().errno();
    // ECONNRESET, and what a refusal that arrived later reports.
    if (errno !== EAGAIN) return reply('reset');
    const left = timeoutMs - (uptimeMs() - began);
    if (left <= 0) return reply('silence');
    await events.wait({ descriptors: [fd], timeoutMs: left, ...(signal !== undefined && { signal }) });
  }
}

/** Sends as much as the kernel takes at once; false when it takes nothing. */
export function sendNow(fd: number, bytes: Uint8Array): boolean {
  const data = Buffer.from(bytes);
  return libc().sendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, null, 0) > 0;
}
