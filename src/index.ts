/**
 * rebind: why a port cannot be listened on, and the port back. Exports only; importing it does nothing.
 */

export type { Respawn } from './act/respawn.ts';
export type { AdoptOptions } from './adopt/adopt.ts';
export type { ListenLike, WhyEndpoint, WhyOptions } from './ask/request.ts';
export type { Verdict } from './causes/bind/index.ts';
export type { BlockedPortFields } from './errors.ts';
export {
  BlockedPortError,
  isBlockedPortError,
  isNativeError,
  isUnsupportedError,
  NativeError,
  UnsupportedError,
} from './errors.ts';
export type { FreeOptions, FreeProgress, FreeReport, FreeStep } from './free.ts';
export type { Fault } from './hold/faults.ts';
export type {
  DrainCounts,
  Evidence,
  Exit,
  Hold,
  HoldEvents,
  HoldOptions,
  HoldStatus,
  LiveGeneration,
  PastGeneration,
  ReadyBy,
  RestartResult,
  StopSignal,
} from './hold/index.ts';
export { adopt, free, hold, listen, reserve, wait, why } from './lazy.ts';
export type { BindOptions, Endpoint, InetEndpoint, ParsedEndpoint, Request, UnixEndpoint } from './model/endpoint.ts';
export { formatEndpoint, parseEndpoint } from './model/endpoint.ts';
export type { Address, Container, Gap, ParentProcess, SocketState } from './model/facts.ts';
export type { ManagerKind } from './model/managers.ts';
export type { SocketReference, StepTarget } from './model/step.ts';
export type { Blocker, BlockerHolder, Finding, HolderManager, Remedy, RemedyId, Report } from './model/verdict.ts';
export type { OptionName, OptionValue, TcpInfo } from './os/options.ts';
export type { HolderSearch } from './os/os.ts';
export type { SocketOptionName, SocketOptions, UnboundSocket, UnsetOption } from './server/bind-options.ts';
export type { Close, Closed, CloseOptions, SignalOptions } from './server/close.ts';
export { close } from './server/close.ts';
export type { Client, ClientEvents, ConnectOptions, ConnectTarget, Retry } from './server/connect.ts';
export { connect } from './server/connect.ts';
export type { HasDescriptor } from './server/descriptor.ts';
export { descriptor } from './server/descriptor.ts';
export type { Listening } from './server/listen.ts';
export type { ListenOptions, ListenTarget } from './server/listen-plan.ts';
export { getOption, setOption } from './server/option.ts';
export type { Reservation, ReserveOptions } from './server/reserve.ts';
export type { EndSignal, SignalChoice } from './server/signals.ts';
export type { Predecessor, TakeOverOptions } from './server/take-over.ts';
export type { Listener, WaitFailure, WaitOptions, WaitProgress, WaitReport } from './wait/options.ts';
