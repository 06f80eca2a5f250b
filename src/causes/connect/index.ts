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
import hairpin from './hairpin.ts';
import halfAccepted from './half-accepted.ts';
import halfDeadGroup from './half-dead-group.ts';
import happyEyeballs250 from './happy-eyeballs-250.ts';
import hostDeadBehindRouter from './host-dead-behind-router.ts';
import hostsFileOverrides from './hosts-file-overrides.ts';
import ipv6Disabled from './ipv6-disabled.ts';
import linkDown from './link-down.ts';
import localhostMissing from './localhost-missing.ts';
import loopStuck from './loop-stuck.ts';
import loopbackDown from './loopback-down.ts';
import loopbackOnly from './loopback-only.ts';
import minTtl from './min-ttl.ts';
import mtuBlackHole from './mtu-black-hole.ts';
import nameNotFound from './name-not-found.ts';
import neighbourDead from './neighbour-dead.ts';
import neighbourWrong from './neighbour-wrong.ts';
import neverAccepts from './never-accepts.ts';
import noAnswer from './no-answer.ts';
import noCarrier from './no-carrier.ts';
import noForwarding from './no-forwarding.ts';
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
import publishedInnerLoopback from './published-inner-loopback.ts';
import publishedUnreachable from './published-unreachable.ts';
import queueFull from './queue-full.ts';
import refusedByDestination from './refused-by-destination.ts';
import resolverSilent from './resolver-silent.ts';
import routeBlackhole from './route-blackhole.ts';
import routeOverlap from './route-overlap.ts';
import routeProhibit from './route-prohibit.ts';
import routeUnreachable from './route-unreachable.ts';
import routerNoRoute from './router-no-route.ts';
import routerRejects from './router-rejects.ts';
import routingLoop from './routing-loop.ts';
import rpFilter from './rp-filter.ts';
import sandbox from './sandbox.ts';
import selfConnect from './self-connect.ts';
import serverFirewallRejects from './server-firewall-rejects.ts';
import socketFilter from './socket-filter.ts';
import stopped from './stopped.ts';
import synBacklog from './syn-backlog.ts';
import tcpMd5 from './tcp-md5.ts';
import udpConnectedElsewhere from './udp-connected-elsewhere.ts';
import udpNoAnswer from './udp-no-answer.ts';
import udpNotRead from './udp-not-read.ts';
import udpNothingReceives from './udp-nothing-receives.ts';
import unixNoFile from './unix-no-file.ts';
import unixNotASocket from './unix-not-a-socket.ts';
import unixNotListening from './unix-not-listening.ts';
import unixOtherMountNamespace from './unix-other-mount-namespace.ts';
import unixPathTooLong from './unix-path-too-long.ts';
import unixPermission from './unix-permission.ts';
import unixSocketReplaced from './unix-socket-replaced.ts';
import unixSocketStale from './unix-socket-stale.ts';
import unixWrongType from './unix-wrong-type.ts';
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
  // The port is forwarded.
  publishedInnerLoopback,
  publishedUnreachable,
  // The first hop.
  noCarrier,
  routeOverlap,
  neighbourDead,
  neighbourWrong,
  // Another host: who says no, then who says nothing.
  routingLoop,
  routerNoRoute,
  hostDeadBehindRouter,
  routerRejects,
  serverFirewallRejects,
  refusedByDestination,
  hairpin,
  noForwarding,
  mtuBlackHole,
  noAnswer,
  // Datagrams.
  udpConnectedElsewhere,
  udpNothingReceives,
  udpNotRead,
  udpNoAnswer,
  // Unix sockets.
  unixPathTooLong,
  unixPermission,
  unixOtherMountNamespace,
  unixSocketReplaced,
  unixNoFile,
  unixNotASocket,
  unixWrongType,
  unixNotListening,
  unixSocketStale,
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
