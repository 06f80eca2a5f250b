/**
 * Tells orchestrators and load balancers how a server is: alive, ready, or going.
 *
 * A server that is closing must say so while it still accepts (`lameDuckMs` of `close`), on a connection that it closes at once: a kept one would
 * be held open by the prober. Liveness is yes to the very end, or the orchestrator kills what is being drained.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import type { Health, HealthOptions, HealthPlan, HealthServers } from './health-options.ts';
import { readHealth } from './health-options.ts';
import { listen } from './listen.ts';
import { noteProbe } from './probes.ts';
import { Readiness, type Unready } from './readiness.ts';

/** A prober sends one short request; whoever takes longer holds a connection that somebody else needs. */
const probeMs = 5000;
const mostConnections = 256;
const mostHeaderBytes = 8192;

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
  const handler = handlerOf(plan, readiness);
  const open: (Server | TcpServer)[] = [];
  const shut = async (): Promise<void> => {
    for (const server of open) {
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
    open.length = 0;
  };
  const at = async (server: Server | TcpServer, port: number): Promise<number> => {
    server.maxConnections = mostConnections;
    const listening = await listen(server, { port, ...(plan.host !== undefined && { host: plan.host }) });
    open.push(server);
    // It tells of the program; it is no reason for it to live on.
    server.unref();
    return listening.port;
  };
  try {
    const port = plan.port === null ? null : await at(healthServer(handler), plan.port);
    const agentPort = plan.agentPort === null ? null : await at(agentServer(plan, readiness), plan.agentPort);
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

function healthServer(handler: Health['handler']): Server {
  const options = {
    maxHeaderSize: mostHeaderBytes,
    requestTimeout: probeMs,
    headersTimeout: probeMs,
    connectionsCheckingInterval: 1000,
  };
  return createServer(options, (request, response) => {
    if (!handler(request, response)) answer(request, response, 404, 'only /livez and /readyz are answered here');
  });
}

function handlerOf(plan: HealthPlan, readiness: Readiness): Health['handler'] {
  return (request, response, next) => {
    const [path] = (request.url ?? '').split('?', 1);
    const isProbe =
      (path === '/livez' || path === '/readyz') && (request.method === 'GET' || request.method === 'HEAD');
    if (!isProbe) {
      next?.();
      return false;
    }
    if (path === '/livez') {
      answer(request, response, 200, 'alive');
      return true;
    }
    const prober = `${request.socket.remoteAddress ?? ''} ${String(request.headers['user-agent'] ?? '').slice(0, 80)}`;
    asked(plan, readiness, prober).then(
      (unready) => {
        const status = unready === null ? 200 : unready.closing ? plan.closingStatus : 503;
        answer(request, response, status, unready?.reason ?? 'ready');
      },
      // What the program's own function for the servers throws.
      () => answer(request, response, 503, 'not ready: which servers there are could not be told'),
    );
    return true;
  };
}

/** Somebody asks. Async, so that what a function of the program throws is a rejection. */
async function asked(plan: HealthPlan, readiness: Readiness, prober: string): Promise<Unready | null> {
  for (const server of plan.servers()) noteProbe(server, prober);
  return readiness.unready();
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, line: string): void {
  if (response.headersSent || response.destroyed) return;
  const body = `${line}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    // An HTTP/2 answer has no such field.
    ...(request.httpVersionMajor < 2 && { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/**
 * HAProxy connects, reads one line and closes (docs: agent-check). The line must end with a newline, or it is ignored. `drain` outlives this
 * process in HAProxy, and `up` does not lift it: only `ready` does, so it is said in every good answer.
 */
function agentServer(plan: HealthPlan, readiness: Readiness): TcpServer {
  return createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(probeMs, () => socket.destroy());
    asked(plan, readiness, `agent ${socket.remoteAddress ?? ''}`)
      .then((unready) => {
        if (unready === null) return `ready up ${weightOf(plan)}%\n`;
        return unready.closing ? 'drain\n' : 'ready down\n';
      })
      // A function of the program threw: it is not well.
      .catch(() => 'ready down\n')
      .then((line) => socket.end(line));
    socket.resume();
  });
}

function weightOf(plan: HealthPlan): number {
  const weight = Math.round(plan.agentWeight());
  return weight >= 0 && weight <= 100 ? weight : 100;
}
