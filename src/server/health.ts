/**
 * Tells orchestrators and load balancers how a server is: alive, ready, or going.
 */
import type { Health, HealthOptions, HealthServers } from './health-options.ts';
import { readHealth } from './health-options.ts';
import { agentServer, type HealthSource, healthHandler, ProbePorts, probeServer } from './health-server.ts';
import { noteProbe } from './probes.ts';
import { Readiness } from './readiness.ts';

/**
 * Answers `/livez` and `/readyz`, on a port of its own or by its handler, and HAProxy's agent-check.
 *
 * @throws {TypeError} {RangeError} when an option is wrong. @throws {BlockedPortError} when the port is blocked; nothing is left open then.
 * @example
 * ```ts
 * await listen(server, 3000);
 * await health(server, { port: 9000, checks: { database: () => database.ping() } });
 * close.onSignals(server, { lameDuckMs: 'auto' });
 * ```
 */
export async function health(servers: HealthServers, options: HealthOptions = {}): Promise<Health> {
  const plan = readHealth(servers, options);
  const readiness = new Readiness(plan);
  const source: HealthSource = {
    // Async, so that what a function of the program throws is a rejection.
    asked: async (prober) => {
      for (const server of plan.servers()) noteProbe(server, prober);
      return readiness.unready();
    },
    closingStatus: plan.closingStatus,
    agentWeight: plan.agentWeight,
  };
  const handler = healthHandler(source);
  const ports = new ProbePorts();
  const shut = (): Promise<void> => ports.close();
  try {
    const server = probeServer(handler, '/livez and /readyz');
    const port = plan.port === null ? null : await ports.listen(server, plan.port, plan.host);
    const agentPort =
      plan.agentPort === null ? null : await ports.listen(agentServer(source), plan.agentPort, plan.host);
    return {
      port,
      agentPort,
      handler,
      reason: async () => (await readiness.unready())?.reason ?? null,
      close: shut,
      [Symbol.asyncDispose]: shut,
    };
  } catch (error) {
    await shut();
    throw error;
  }
}
