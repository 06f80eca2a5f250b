/**
 * Every known cause of a client that cannot connect. The order is the order of decision, and precedence: the first that recognises
 * what was seen is the verdict, the others come along.
 */
import type { ReachFoundBy } from '../../model/reach/judge.ts';
import type { ReachReport as ReportOf } from '../../model/reach/report.ts';
import addressTentative from './address-tentative.ts';
import badAddress from './bad-address.ts';
import clientDescriptors from './client-descriptors.ts';
import conntrackFull from './conntrack-full.ts';
import ipv6Disabled from './ipv6-disabled.ts';
import linkDown from './link-down.ts';
import loopbackDown from './loopback-down.ts';
import neighbourDead from './neighbour-dead.ts';
import neighbourWrong from './neighbour-wrong.ts';
import noCarrier from './no-carrier.ts';
import noLocalPort from './no-local-port.ts';
import noRoute from './no-route.ts';
import nothingListens from './nothing-listens.ts';
import ownFirewallDropsInput from './own-firewall-drops-input.ts';
import ownFirewallDropsOutput from './own-firewall-drops-output.ts';
import ownFirewallRejects from './own-firewall-rejects.ts';
import routeBlackhole from './route-blackhole.ts';
import routeOverlap from './route-overlap.ts';
import routeProhibit from './route-prohibit.ts';
import routeUnreachable from './route-unreachable.ts';
import rpFilter from './rp-filter.ts';
import sandbox from './sandbox.ts';

export const causes = [
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
  // The address is ours, and no socket takes the connection.
  nothingListens,
  // The first hop.
  noCarrier,
  routeOverlap,
  neighbourDead,
  neighbourWrong,
] as const;

/** A cause that applies: its id, one plain sentence, and what it found. A closed union over `cause`. */
export type ReachVerdict = ReachFoundBy<(typeof causes)[number]>;

/** The answer of `reach`; `--json` prints it with `schema: 1` in front. */
export interface ReachReport extends ReportOf<ReachVerdict> {}
