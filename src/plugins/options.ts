/**
 * What every plugin takes, and how it is divided between health, closing and signals.
 */
import { checkNames } from '../check.ts';
import { close } from '../server/close.ts';
import type { CloseOptions, SignalOptions } from '../server/close-options.ts';
import { health } from '../server/health.ts';
import type { Health, HealthOptions, HealthServers } from '../server/health-options.ts';
import type { EndSignal } from '../server/signals.ts';

/** Everything is optional: without options the server answers `/livez` and `/readyz`, and ends well at SIGTERM, SIGINT and SIGHUP. */
export interface PluginOptions extends Omit<SignalOptions, 'signals'> {
  /** As of `health`; false for no `/livez` and `/readyz`. */
  readonly health?: HealthOptions | false;
  /** The signals that end it; false where the program calls `close` itself. @default ['SIGTERM', 'SIGINT', 'SIGHUP'] */
  readonly signals?: readonly EndSignal[] | false;
}

const names = ['health', 'signals', 'signal', 'graceMs', 'idleMs', 'firstByteMs', 'lameDuckMs', 'after', 'afterMs'];

/** The options of `close` among them. @throws {TypeError} when one is not known. */
export function closeOptions(plugin: string, options: PluginOptions): CloseOptions {
  checkNames(`${plugin}()`, options, names);
  const { health: _health, signals: _signals, ...times } = options;
  return times;
}

/** Null where no health is wanted. */
export function healthOf(servers: HealthServers, options: PluginOptions): Promise<Health> | null {
  return options.health === false ? null : health(servers, options.health);
}

/** Closes at the signals that were asked for, as these times say. Returns what takes the handlers away. */
export function closeAtSignals(
  server: Parameters<typeof close.onSignals>[0],
  times: CloseOptions,
  { signals }: Pick<PluginOptions, 'signals'>,
): () => void {
  if (signals === false) return () => {};
  return close.onSignals(server, { ...times, ...(signals !== undefined && { signals }) });
}
