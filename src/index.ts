/**
 * rebind: why a port cannot be listened on, and the port back. Exports only; importing it does nothing.
 *
 * A type has a name here when a function takes it or resolves with it. What such a type consists of is reached through it:
 * `Blocker['holders'][number]`, `FreeReport['respawn']`.
 */

export type { AdoptOptions } from './adopt/adopt.ts';
export type { WhyEndpoint, WhyOptions } from './ask/request.ts';
export type { Report, Verdict } from './causes/bind/index.ts';
export type { ReachReport, ReachVerdict } from './causes/connect/index.ts';
export {
  BlockedPortError,
  isBlockedPortError,
  isNativeError,
  isUnsupportedError,
  NativeError,
  UnsupportedError,
} from './errors.ts';
export type { FreeOptions, FreeProgress, FreeReport, FreeStep } from './free.ts';
export type { Hold, HoldEvents, HoldOptions, HoldStatus, RestartResult } from './hold/index.ts';
export { adopt, free, health, hold, lease, listen, reach, reserve, wait, why } from './lazy.ts';
export type { Endpoint, ParsedEndpoint } from './model/endpoint.ts';
export { formatEndpoint, parseEndpoint } from './model/endpoint.ts';
export type { Target } from './model/reach/target.ts';
export type { Blocker, Remedy } from './model/verdict.ts';
export type { OptionName, OptionValue, TcpInfo } from './os/options.ts';
export type { ReachOptions, ReachTarget } from './reach/options.ts';
export { close } from './server/close.ts';
export type { CloseOptions, SignalOptions } from './server/close-options.ts';
export type { Closed } from './server/closed.ts';
export type { Client, ConnectOptions, ConnectTarget } from './server/connect.ts';
export { connect } from './server/connect.ts';
export type { HasDescriptor } from './server/descriptor.ts';
export { descriptor } from './server/descriptor.ts';
export type { Health, HealthOptions, HealthServers } from './server/health-options.ts';
export type { LeaseOptions } from './server/lease.ts';
export type { Listening } from './server/listen.ts';
export type { ListenOptions, ListenTarget } from './server/listen-plan.ts';
export { getOption, setOption } from './server/option.ts';
export type { Reservation, ReserveOptions } from './server/reserve.ts';
export type { WaitOptions, WaitProgress, WaitReport } from './wait/options.ts';
