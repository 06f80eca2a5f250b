/**
 * What an operating system, or this machine, may be unable to do. Reading what can be read, and trying a bind, are not among it:
 * every system does that, and says what it could not see.
 */

import { UnsupportedError } from './errors.ts';

/** Each capability, and the functions of `Os` that it stands for. Where it is lacking they throw an `UnsupportedError` with the reason. */
export const capabilities = {
  /** `readInventory`, and the sockets in the facts of `readFacts`. */
  listSockets: 'list the sockets of this machine',
  /** `processes.open`, `identify` and what a `ProcessHandle` does: a signal reaches no other process than the one that was meant. */
  identitySafeSignal: 'signal a process without doubt about which one it is',
  /** `sockets.open`, `bind`, `listen` and what else is done with a descriptor. */
  ownSockets: 'make sockets without Node',
  /** `sockets.getOption` and `setOption`. */
  socketOptions: 'reach the options of sockets',
  /** `ProcessHandle.takeDescriptor`. */
  copySocket: 'copy a socket of another process',
  /** `sockets.destroy`. */
  removeSocket: 'remove a socket that no process owns',
  /** `sockets.holdOff`, `letIn` and `markShared`. */
  pauseListener: 'hold off new connections for a moment',
  /** `processes.waitsForInput`. */
  waitsForInput: 'see whether a process waits for connections',
  /** `events.wait` with `port`. */
  socketEvents: 'be told when a socket is gone',
  /** `sockets.sendDescriptors` and `receiveDescriptors`. */
  passSockets: 'pass sockets to another process',
  /** `channels`. */
  channels: 'talk to other processes of rebind',
  /** `sessions`. */
  sessions: 'find everything that a command started',
  /** `orphans`. */
  orphans: 'adopt processes whose parent has exited',
  /** `files`. */
  directories: 'hold a directory open while a file in it is removed',
  /** `fileWatches`. */
  fileEvents: 'be told by the system when files change',
  /** `streams`. */
  streams: 'write to a log without waiting for it',
} as const;

export type Capability = keyof typeof capabilities;

/** @throws {UnsupportedError} with the reason, where a capability is lacking that the caller cannot do without. */
export function demand(os: { lacks(capability: Capability): string | null }, capability: Capability): void {
  const why = os.lacks(capability);
  if (why !== null) throw new UnsupportedError(why);
}
