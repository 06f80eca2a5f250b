/**
 * The sockets of a port with what only a client needs to know of them: how full they are, and what they dropped.
 */
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { PortSocket } from '../../../model/reach/evidence.ts';
import { isNativeError, isUnsupportedError } from '../../errors.ts';
import { withDevice } from '../inet-sockets.ts';
import { lookUp, type MeasuredSocket, type Meeting, readMeasured } from '../netlink/measured.ts';
import { type Conversation, NetlinkError } from '../netlink/netlink.ts';
import { NETLINK_SOCK_DIAG, openNetlink } from '../netlink/netlink-socket.ts';
import { stateBits } from '../netlink/sock-diag.ts';

const waiting = { tcp: stateBits.LISTEN | stateBits.CLOSE | stateBits.BOUND_INACTIVE, udp: stateBits.all } as const;

/** Every listening or bound socket on the port, of the endpoint's protocol. Null where the kernel does not tell. */
export function portSockets({ protocol, port }: InetEndpoint, gaps: Gap[]): readonly PortSocket[] | null {
  return ask(gaps, `Which sockets have port ${port} cannot be seen`, (kernel) =>
    readMeasured(kernel, { protocol, states: waiting[protocol], port }).map(portSocket),
  );
}

/** The listeners alone, of UDP all: their queues and drops are compared with those before. */
export function listenersOf({ protocol, port }: InetEndpoint, gaps: Gap[]): readonly PortSocket[] | null {
  const states = protocol === 'tcp' ? stateBits.LISTEN : stateBits.all;
  return ask(gaps, `Which sockets have port ${port} cannot be seen`, (kernel) =>
    readMeasured(kernel, { protocol, states, port }).map(portSocket),
  );
}

/** The socket that would get a packet, `found: null` when none would. Null where the kernel does not tell. */
export function socketFor(meeting: Meeting, gaps: Gap[]): { readonly found: PortSocket | null } | null {
  return ask(gaps, `Which socket would get the connection cannot be asked`, (kernel) => {
    const found = lookUp(kernel, meeting);
    return { found: found === null ? null : portSocket(found) };
  });
}

/** The kernel's sockets, asked; a refusal is a gap. */
export function ask<T>(gaps: Gap[], what: string, use: (kernel: Conversation) => T): T | null {
  return askKernel(NETLINK_SOCK_DIAG, gaps, what, use);
}

/** A part of the kernel, asked; a refusal is a gap. */
export function askKernel<T>(part: number, gaps: Gap[], what: string, use: (kernel: Conversation) => T): T | null {
  try {
    const kernel = openNetlink(part);
    try {
      return use(kernel);
    } finally {
      kernel.close();
    }
  } catch (error) {
    if (!isNativeError(error) && !isUnsupportedError(error) && !(error instanceof NetlinkError)) throw error;
    gaps.push({
      what,
      why: error instanceof NetlinkError ? error.message : error.code,
      hint: isUnsupportedError(error)
        ? 'Install koffi with its binary for this platform'
        : 'Netlink is missing or forbidden here; run it outside of the sandbox',
    });
    return null;
  }
}

function portSocket({ socket, drops, receiveQueue }: MeasuredSocket): PortSocket {
  return { ...withDevice(socket), drops, unread: socket.protocol === 'udp' ? receiveQueue : null };
}
