/**
 * rebind/metrics: the servers of this process in the words of prom-client and of OpenTelemetry. The names follow the stable ones of .NET's
 * kestrel (`kestrel.active_connections`, `kestrel.queued_connections`), because OpenTelemetry has none for connections of its own.
 */
import { endings, ServerWatch } from './server-counts.ts';

/** The part of prom-client that is used. */
export interface PromClient {
  readonly Gauge: new (
    configuration: never,
  ) => { set(labels: Record<string, string>, value: number): void; reset(): void };
  readonly Counter: new (configuration: never) => { inc(labels: Record<string, string>, value: number): void };
  readonly Histogram: new (configuration: never) => { observe(value: number): void };
}

/** In seconds; a drain takes from some ms to the grace. */
const buckets = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30];

/**
 * `rebind_active_connections`, `rebind_queued_connections`, `rebind_close_connections_total` (by `how`: finished, idle, killed) and
 * `rebind_close_duration_seconds`. Call it before the servers listen. Returns what ends it.
 *
 * @param registers As prom-client's own; its default registry without
 * @example
 * ```ts
 * import client from 'prom-client';
 * import { prometheus } from 'rebind/metrics';
 *
 * prometheus(client);
 * ```
 */
export function prometheus(client: PromClient, registers?: readonly unknown[]): () => void {
  const made = <Configuration>(configuration: Configuration): never =>
    ({ ...configuration, ...(registers !== undefined && { registers }) }) as never;
  const ended = new client.Counter(
    made({
      name: 'rebind_close_connections_total',
      help: 'Connections that a close ended, by how',
      labelNames: ['how'],
    }),
  );
  const duration = new client.Histogram(
    made({ name: 'rebind_close_duration_seconds', help: 'How long a close took', buckets }),
  );
  const watch = new ServerWatch((closed) => {
    for (const [how, count] of endings(closed)) ended.inc({ how }, count);
    duration.observe(closed.elapsedMs / 1000);
  });
  const waiting = new client.Gauge(
    made({ name: 'rebind_queued_connections', help: 'Connections that wait to be accepted', labelNames: ['listen'] }),
  );
  const active = new client.Gauge(
    made({
      name: 'rebind_active_connections',
      help: 'Open connections',
      labelNames: ['listen'],
      // prom-client waits for it whenever it is asked.
      collect: async () => {
        const counts = await watch.counts();
        active.reset();
        waiting.reset();
        for (const { listen, connections, waiting: queued } of counts) {
          active.set({ listen }, connections);
          if (queued !== null) waiting.set({ listen }, queued);
        }
      },
    }),
  );
  return () => watch.stop();
}

/** What OpenTelemetry gives to the callback of an observable instrument. */
export interface ObservableResult {
  observe(value: number, attributes?: Record<string, string>): void;
}

/** The part of an OpenTelemetry meter that is used. */
export interface Meter {
  createObservableGauge(
    name: string,
    options: { readonly description: string; readonly unit: string },
  ): {
    addCallback(callback: (result: ObservableResult) => Promise<void>): void;
    removeCallback(callback: (result: ObservableResult) => Promise<void>): void;
  };
  createCounter(
    name: string,
    options: { readonly description: string; readonly unit: string },
  ): { add(value: number, attributes?: Record<string, string>): void };
  createHistogram(
    name: string,
    options: { readonly description: string; readonly unit: string },
  ): { record(value: number): void };
}

/**
 * `rebind.active_connections`, `rebind.queued_connections`, `rebind.close.connections` and `rebind.close.duration`. Call it before the servers
 * listen. Returns what ends it.
 *
 * @example
 * ```ts
 * import { metrics } from '@opentelemetry/api';
 * import { openTelemetry } from 'rebind/metrics';
 *
 * openTelemetry(metrics.getMeter('rebind'));
 * ```
 */
export function openTelemetry(meter: Meter): () => void {
  const ended = meter.createCounter('rebind.close.connections', {
    description: 'Connections that a close ended, by how',
    unit: '{connection}',
  });
  const duration = meter.createHistogram('rebind.close.duration', { description: 'How long a close took', unit: 's' });
  const watch = new ServerWatch((closed) => {
    for (const [how, count] of endings(closed)) ended.add(count, { how });
    duration.record(closed.elapsedMs / 1000);
  });
  const active = meter.createObservableGauge('rebind.active_connections', {
    description: 'Open connections',
    unit: '{connection}',
  });
  const waiting = meter.createObservableGauge('rebind.queued_connections', {
    description: 'Connections that wait to be accepted',
    unit: '{connection}',
  });
  const observeActive = async (result: ObservableResult): Promise<void> => {
    for (const { listen, connections } of await watch.counts())
      result.observe(connections, { 'server.listen': listen });
  };
  const observeWaiting = async (result: ObservableResult): Promise<void> => {
    for (const { listen, waiting: queued } of await watch.counts())
      if (queued !== null) result.observe(queued, { 'server.listen': listen });
  };
  active.addCallback(observeActive);
  waiting.addCallback(observeWaiting);
  return () => {
    active.removeCallback(observeActive);
    waiting.removeCallback(observeWaiting);
    watch.stop();
  };
}
