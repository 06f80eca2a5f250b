/**
 * Every known cause. The order is precedence: the first that recognises a question is the verdict, the others come along.
 */

import type { FoundBy } from '../../model/judge.ts';
import type { Report as ReportOf } from '../../model/verdict.ts';
import addressNotHere from './address-not-here.ts';
import airplayReceiver from './airplay-receiver.ts';
import boundNotListening from './bound-not-listening.ts';
import containerPort from './container-port.ts';
import dualStack from './dual-stack.ts';
import inheritedDescriptor from './inherited-descriptor.ts';
import ipv6Connection from './ipv6-connection.ts';
import kernelListener from './kernel-listener.ts';
import noFreePort from './no-free-port.ts';
import openConnection from './open-connection.ts';
import orphanConnection from './orphan-connection.ts';
import otherListener from './other-listener.ts';
import otherUser from './other-user.ts';
import outgoingConnection from './outgoing-connection.ts';
import pathNotHere from './path-not-here.ts';
import privilegedPort from './privileged-port.ts';
import redirected from './redirected.ts';
import restrictedPort from './restricted-port.ts';
import reusePortOtherUser from './reuse-port-other-user.ts';
import selfConnect from './self-connect.ts';
import shadowed from './shadowed.ts';
import socketUnit from './socket-unit.ts';
import timeWait from './time-wait.ts';
import unexplained from './unexplained.ts';
import unixSocketInUse from './unix-socket-in-use.ts';
import unixSocketStale from './unix-socket-stale.ts';
import userSpace from './user-space.ts';
import wildcardOverlap from './wildcard-overlap.ts';

export const causes = [
  // Refusals before the port is looked at: they exclude each other, and whatever else is true does not matter yet.
  addressNotHere,
  privilegedPort,
  pathNotHere,
  noFreePort,
  restrictedPort,
  // Unix sockets: one that somebody has open, then the file that is left of one.
  unixSocketInUse,
  unixSocketStale,
  // A listener blocks whatever else is there. First what ending its process would not help with, ...
  airplayReceiver,
  containerPort,
  socketUnit,
  kernelListener,
  // ... then what makes it more than one plain server on the very address.
  reusePortOtherUser,
  inheritedDescriptor,
  dualStack,
  wildcardOverlap,
  otherListener,
  otherUser,
  userSpace,
  // Somebody has a socket open that does not listen. A connection says more about it than a bound socket.
  openConnection,
  selfConnect,
  outgoingConnection,
  boundNotListening,
  // Nobody has it open. What may last for minutes before what is over in one.
  orphanConnection,
  timeWait,
  // Says only why the others matter to an IPv4 address.
  ipv6Connection,
  // Nothing blocks, and still it is worth a word: nothing arrives, before something goes to somebody else.
  redirected,
  shadowed,
  // The rest. It never stands beside another.
  unexplained,
] as const;

/** A cause that applies: its id, one plain sentence, and what it found. A closed union, so that `cause` tells what is in `args`, and a `switch` over it can be exhaustive. */
export type Verdict = FoundBy<(typeof causes)[number]>;

/** The answer of `why`; `--json` prints it with `schema: 1` in front. */
export interface Report extends ReportOf<Verdict> {}
