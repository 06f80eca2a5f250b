/**
 * Every known cause of a client that cannot connect. The order is the order of decision, and precedence: the first that recognises
 * what was seen is the verdict, the others come along.
 */
import type { ReachFoundBy } from '../../model/reach/judge.ts';
import type { ReachReport as ReportOf } from '../../model/reach/report.ts';
import acceptedNeverAnswers from './accepted-never-answers.ts';
import addressTentative from './address-tentative.ts';
import badAddress from './bad-address.ts';
import boundNotListening from './bound-not-listening.ts';
import busyWithAnotherClient from './busy-with-another-client.ts';
import clientDescriptors from './client-descriptors.ts';
import closesAtOnce from './closes-at-once.ts';
import conntrackFull from './conntrack-full.ts';
import descriptorLimit from './descriptor-limit.ts';
import firstAddressDead from './first-address-dead.ts';
import frozen from './frozen.ts';
import halfAccepted from './half-accepted.ts';
import halfDeadGroup from './half-dead-group.ts';
import happyEyeballs250 from './happy-eyeballs-250.ts';
import hostsFileOverrides from './hosts-file-overrides.ts';
import ipv6Disabled from './ipv6-disabled.ts';
import linkDown from './link-down.ts';
import localhostMissing from './localhost-missing.ts';
import loopStuck from './loop-stuck.ts';
import loopbackDown from './loopback-down.ts';
import loopbackOnly from './loopback-only.ts';
import minTtl from './min-ttl.ts';
import nameNotFound from './name-not-found.ts';
import neighbourDead from './neighbour-dead.ts';
import neighbourWrong from './neighbour-wrong.ts';
import neverAccepts from './never-accepts.ts';
import noCarrier from './no-carrier.ts';
import noLocalPort from './no-local-port.ts';
import noRoute from './no-route.ts';
import notAName from './not-a-name.ts';
import notAccepted from './not-accepted.ts';
import nothingListens from './nothing-listens.ts';
import otherAddress from './other-address.ts';
import otherDevice from './other-device.ts';
import otherFamily from './other-family.ts';
import otherNamespace from './other-namespace.ts';
import ownFirewallDropsInput from './own-firewall-drops-input.ts';
import ownFirewallDropsOutput from './own-firewall-drops-output.ts';
import ownFirewallRejects from './own-firewall-rejects.ts';
import proxyVariable from './proxy-variable.ts';
import queueFull from './queue-full.ts';
import resolverSilent from './resolver-silent.ts';
import routeBlackhole from './route-blackhole.ts';
import routeOverlap from './route-overlap.ts';
import routeProhibit from './route-prohibit.ts';
import routeUnreachable from './route-unreachable.ts';
import rpFilter from './rp-filter.ts';
import sandbox from './sandbox.ts';
import selfConnect from './self-connect.ts';
import socketFilter from './socket-filter.ts';
import stopped from './stopped.ts';
import synBacklog from './syn-backlog.ts';
import tcpMd5 from './tcp-md5.ts';
import wrongProgram from './wrong-program.ts';
import wrongProtocol from './wrong-protocol.ts';

export const causes = [
  // The name: without an address there is no way.
  notAName,
  localhostMissing,
  resolverSilent,
  nameNotFound,
  hostsFileOverrides,
  // Before a packet: each excludes all that follows.
  badAddress,
  ipv6Disabled,
  loopbackDown,
  addressTentative,
  linkDown,
  noRoute,
  routeUnreachable,
  routeProhibit,
  routeBlackhole,
  sandbox,
  clientDescriptors,
  noLocalPort,
  // Our own machine loses or refuses the packets.
  conntrackFull,
  rpFilter,
  ownFirewallRejects,
  ownFirewallDropsOutput,
  ownFirewallDropsInput,
  // Connected to itself: nobody is there.
  selfConnect,
  // A listener would get it. First what its processes do, then its queue, then the socket itself.
  halfDeadGroup,
  stopped,
  frozen,
  descriptorLimit,
  loopStuck,
  busyWithAnotherClient,
  queueFull,
  neverAccepts,
  notAccepted,
  halfAccepted,
  synBacklog,
  tcpMd5,
  minTtl,
  socketFilter,
  // The address is ours, and no socket takes the connection.
  otherDevice,
  otherFamily,
  loopbackOnly,
  otherAddress,
  boundNotListening,
  otherNamespace,
  nothingListens,
  // Connected, and what came back.
  wrongProtocol,
  acceptedNeverAnswers,
  closesAtOnce,
  // The first hop.
  noCarrier,
  routeOverlap,
  neighbourDead,
  neighbourWrong,
  // Worth a word although clients get through.
  wrongProgram,
  happyEyeballs250,
  firstAddressDead,
  proxyVariable,
] as const;

/** A cause that applies: its id, one plain sentence, and what it found. A closed union over `cause`. */
export type ReachVerdict = ReachFoundBy<(typeof causes)[number]>;

/** The answer of `reach`; `--json` prints it with `schema: 1` in front. */
export interface ReachReport extends ReportOf<ReachVerdict> {}
