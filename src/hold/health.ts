/**
 * What hold tells those who ask from outside: `/livez`, `/readyz` and `/metrics`, on ports of its own, to the very end.
 */
import type { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { noteProbe } from '../server/probes.ts';
import type { Unready } from '../server/unready.ts';
import type { HeldSockets } from './held-sockets.ts';
import { HoldMetrics } from './metrics.ts';
import type { HoldEvents, Settings } from './settings.ts';

/** The ports that are open. */
export interface HoldHealth {
  readonly healthPort: number | null;
  readonly metricsPort: number | null;
  close(): void;
}

/** Null when nobody may ask. @throws {BlockedPortError} when a port is blocked; none is left open then. */
export async function openHealth(
  settings: Pick<Settings, 'healthPort' | 'metricsPort'>,
  sockets: HeldSockets,
  hold: EventEmitter<HoldEvents>,
  unready: () => Unready | null,
): Promise<HoldHealth | null> {
  const { healthPort, metricsPort } = settings;
  if (healthPort === null && metricsPort === null) return null;
  // Node's HTTP, which hold has no other use for.
  const { answerProbe, healthHandler, ProbePorts, probeServer } = await import('../server/health-server.ts');
  const handler = healthHandler({
    asked: async (prober) => {
      noteProbe(sockets, prober);
      return unready();
    },
    closingStatus: 503,
    agentWeight: () => 100,
  });
  const metrics = metricsPort === null ? null : new HoldMetrics(hold, sockets);
  const measured: typeof handler = (request, response) => {
    if (metrics === null || request.url?.split('?')[0] !== '/metrics') return false;
    answerProbe(request, response, 200, metrics.text());
    return true;
  };
  const together = metricsPort !== null && metricsPort === healthPort && metricsPort !== 0;
  const server = (): Server =>
    together
      ? probeServer((...asked) => handler(...asked) || measured(...asked), '/livez, /readyz and /metrics')
      : probeServer(handler, '/livez and /readyz');
  const ports = new ProbePorts();
  const close = (): void => {
    metrics?.close();
    void ports.close();
  };
  try {
    const health = healthPort === null ? null : await ports.listen(server(), healthPort);
    const measuring = probeServer(measured, 'questions for /metrics');
    return {
      healthPort: health,
      metricsPort: metricsPort === null || together ? health : await ports.listen(measuring, metricsPort),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
