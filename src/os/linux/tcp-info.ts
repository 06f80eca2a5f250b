/**
 * TCP_INFO: what the kernel knows about one connection (tcp(7); struct tcp_info in include/uapi/linux/tcp.h).
 */

import type { SocketState } from '../../model/facts.ts';
import { littleEndian } from '../byte-order.ts';
import type { Codec } from '../option-codec.ts';
import { tcpStates } from './tcp-states.ts';

/** The fields that every kernel since 4.9 fills. Of a listener, `unacknowledged` is the length of the accept queue and `selectivelyAcknowledged` its limit. */
export interface TcpInfo {
  readonly state: SocketState | 'CLOSE' | 'NEW_SYN_RECV';
  /** Retransmissions of the oldest segment that is not acknowledged. */
  readonly retransmits: number;
  /** Keep-alive or zero-window probes that were not answered. */
  readonly probes: number;
  readonly retransmissionTimeoutUs: number;
  readonly sendSegmentBytes: number;
  readonly receiveSegmentBytes: number;
  readonly unacknowledged: number;
  readonly selectivelyAcknowledged: number;
  readonly lost: number;
  readonly lastDataSentMs: number;
  readonly lastDataReceivedMs: number;
  readonly lastAckReceivedMs: number;
  readonly pathMtuBytes: number;
  /** Smoothed round-trip time. */
  readonly roundTripUs: number;
  readonly roundTripVarianceUs: number;
  readonly congestionWindow: number;
  readonly totalRetransmissions: number;
  readonly bytesAcknowledged: number;
  readonly bytesReceived: number;
  readonly smallestRoundTripUs: number;
}

const size = 152;

/** @internal */
export const tcpInfo: Codec<TcpInfo> = {
  size,
  expects: 'nothing: it can only be read',
  encode: () => null,
  decode: (bytes) => {
    // Old kernels give less; what they do not know stays 0.
    const all = Buffer.alloc(size);
    bytes.copy(all);
    const at = (offset: number): number => (littleEndian ? all.readUInt32LE(offset) : all.readUInt32BE(offset));
    const long = (offset: number): number =>
      Number(littleEndian ? all.readBigUInt64LE(offset) : all.readBigUInt64BE(offset));
    return {
      state: tcpStates[(all[0] ?? 7) - 1] ?? 'CLOSE',
      retransmits: all[2] ?? 0,
      probes: all[3] ?? 0,
      retransmissionTimeoutUs: at(8),
      sendSegmentBytes: at(16),
      receiveSegmentBytes: at(20),
      unacknowledged: at(24),
      selectivelyAcknowledged: at(28),
      lost: at(32),
      lastDataSentMs: at(44),
      lastDataReceivedMs: at(52),
      lastAckReceivedMs: at(56),
      pathMtuBytes: at(60),
      roundTripUs: at(68),
      roundTripVarianceUs: at(72),
      congestionWindow: at(80),
      totalRetransmissions: at(100),
      bytesAcknowledged: long(120),
      bytesReceived: long(128),
      smallestRoundTripUs: at(148),
    };
  },
};

/** @internal Where tcpi_unacked and tcpi_sacked lie; of a listener they are the queue's length and limit (tcp_get_info). */
export function listenerQueue(info: Buffer): { waiting: number; limit: number } {
  const { unacknowledged, selectivelyAcknowledged } = tcpInfo.decode(info);
  return { waiting: unacknowledged, limit: selectivelyAcknowledged };
}
