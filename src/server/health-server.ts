/**
 * Answers probers: `/livez` and `/readyz`, and HAProxy's agent-check.
 *
 * A server that is closing must say so while it still accepts, on a connection that it closes at once: a kept one would be held open by the
 * prober. Liveness is yes to the very end, or the orchestrator kills what is being drained.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { listen } from './listen.ts';
import type { Unready } from './unready.ts';

/** A prober sends one short request; whoever takes longer holds a connection that somebody else needs. */
const probeMs = 5000;
const mostConnections = 256;
const mostHeaderBytes = 8192;

/** Whose health it is. */
export interface HealthSource {
  /** Somebody asks: null when ready. @param prober Tells one prober from another */
  asked(prober: string): Promise<Unready | null>;
  readonly closingStatus: 503 | 404;
  /** In percent. */
  agentWeight(): number;
}

/** Answers the request, or leaves it to `next`, or tells that it does not answer it. */
export type ProbeHandler = (request: IncomingMessage, response: ServerResponse, next?: () => void) => boolean;

/** The ports on which probers are answered. They keep no program alive. */
export class ProbePorts {
  readonly #open: (Server | TcpServer)[] = [];
  readonly #connections = new Set<Socket>();

  /** Resolves with the port. @throws {BlockedPortError} */
  async listen(server: Server | TcpServer, port: number, host?: string): Promise<number> {
    const own = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      // Not `maxConnections`, which turns away the prober that comes after those who only hold theirs.
      const oldest = own.size < mostConnections ? undefined : own.values().next().value;
      oldest?.destroy();
      own.add(socket);
      this.#connections.add(socket);
      // Whatever the other side goes on to send.
      const late = setTimeout(() => socket.destroy(), 2 * probeMs).unref();
      socket.once('close', () => {
        clearTimeout(late);
        own.delete(socket);
        this.#connections.delete(socket);
      });
    });
    const listening = await listen(server, { port, ...(host !== undefined && { host }) });
    this.#open.push(server);
    server.unref();
    return listening.port;
  }

  async close(): Promise<void> {
    const open = this.#open.splice(0);
    const closed = open.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(closed);
  }
}

/** An HTTP server for these answers alone. @param paths What it answers, for those who ask for something else */
export function probeServer(handler: ProbeHandler, paths: string): Server {
  const options = {
    maxHeaderSize: mostHeaderBytes,
    requestTimeout: probeMs,
    headersTimeout: probeMs,
    connectionsCheckingInterval: 1000,
  };
  return createServer(options, (request, response) => {
    if (!handler(request, response)) answerProbe(request, response, 404, `only ${paths} are answered here`);
  });
}

/** `/livez` and `/readyz`. */
export function healthHandler(source: HealthSource): ProbeHandler {
  return (request, response, next) => {
    const [path] = (request.url ?? '').split('?', 1);
    const isProbe =
      (path === '/livez' || path === '/readyz') && (request.method === 'GET' || request.method === 'HEAD');
    if (!isProbe) {
      next?.();
      return false;
    }
    if (path === '/livez') {
      answerProbe(request, response, 200, 'alive');
      return true;
    }
    const prober = `${request.socket.remoteAddress ?? ''} ${String(request.headers['user-agent'] ?? '').slice(0, 80)}`;
    source.asked(prober).then(
      (unready) => {
        const status = unready === null ? 200 : unready.closing ? source.closingStatus : 503;
        answerProbe(request, response, status, unready?.reason ?? 'ready');
      },
      // What the program's own function for the servers throws.
      () => answerProbe(request, response, 503, 'not ready: which servers there are could not be told'),
    );
    return true;
  };
}

/** One line of text, and the connection closed. */
export function answerProbe(request: IncomingMessage, response: ServerResponse, status: number, line: string): void {
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
export function agentServer(source: HealthSource): TcpServer {
  return createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(probeMs, () => socket.destroy());
    source
      .asked(`${socket.remoteAddress ?? ''} agent`)
      .then((unready) => {
        if (unready === null) return `ready up ${weightOf(source)}%\n`;
        return unready.closing ? 'drain\n' : 'ready down\n';
      })
      // A function of the program threw: it is not well.
      .catch(() => 'ready down\n')
      .then((line) => socket.end(line));
    socket.resume();
  });
}

function weightOf(source: HealthSource): number {
  const weight = Math.round(source.agentWeight());
  return weight >= 0 && weight <= 100 ? weight : 100;
}
