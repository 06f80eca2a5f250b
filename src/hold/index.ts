/**
 * `hold`: the socket that outlives the program.
 */
import { Hold } from './hold.ts';
import { type HoldOptions, readSettings } from './settings.ts';

export type { Exit } from './exit.ts';
export type { PastGeneration } from './history.ts';
export type { Hold } from './hold.ts';
export type { Evidence } from './ready.ts';
export type { HoldEvents, HoldOptions, RestartResult, StopSignal } from './settings.ts';
export type { HoldStatus, LiveGeneration } from './status.ts';
export type { DrainCounts } from './wire/messages.ts';
export type { ReadyBy } from './wire/passed.ts';

/**
 * Opens the endpoints, starts the command on them, and keeps them open until the command is done.
 * Resolves when the sockets listen and the command was started, which is before it is ready.
 *
 * @throws {TypeError} when the options are wrong. @throws {RangeError} when an endpoint cannot be read, or what to watch does not exist.
 * @throws {BlockedPortError} when an endpoint cannot be bound; nothing was started then.
 * @example
 * ```ts
 * const held = await hold({ endpoints: ['3000'], command: ['node', 'server.js'] });
 * held.on('ready', ({ generation, afterMs }) => console.log(`generation ${generation} was ready after ${afterMs} ms`));
 * await held.restart();
 * process.exitCode = await held.done;
 * ```
 */
export async function hold(options: HoldOptions): Promise<Hold> {
  const settings = readSettings(options);
  const held = new Hold(settings);
  await held.open();
  return held;
}
