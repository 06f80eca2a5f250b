/**
 * Clients of the soak, and what they lost. A client does what the protocol asks for: it connects again when a WebSocket says 1012, and opens
 * another HTTP/2 session after GOAWAY. Nothing else is tried again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import WebSocket from 'ws';
import { Frames } from './soak-frames.ts';

const timeoutMs = 8_000;
/** The port of a client is another connection's some time later. */
const rememberMs = timeoutMs + 2_000;

/** What was lost, apart by whether a killed process had accepted its connection. */
export class Ledger {
  readonly refused: string[] = [];
  ofKilled = 0;
  /** Streams that Node's own client refused, because a GOAWAY came before their first byte was sent: no server ever saw them. */
  unsent = 0;
  /** Streams over TLS that a GOAWAY named as not begun, so that a client may send them again (RFC 9113 §6.8): Node has no other way there. */
  toSendAgain = 0;
  readonly unexpected: string[] = [];
  /** When the process of a connection was killed, by `SERVER PORT:CLIENT PORT`. */
  readonly #killed = new Map<string, number>();

  /** The process is stopped, and killed now: what it had accepted is lost. */
  killed(connections: readonly Pair[]): void {
    for (const { server, client } of connections) this.#killed.set(`${server}:${client}`, performance.now());
  }

  /** @param client Its port; null when it never connected. */
  lost(what: string, how: string, server: number, client: number | null): void {
    const killedMs = this.#killed.get(`${server}:${client}`) ?? Number.NEGATIVE_INFINITY;
    const sentence = `${new Date().toISOString()} ${what} from port ${client}: ${how}`;
    // Streams that a killed process never began are refused by the client itself, with its connection.
    if (performance.now() - killedMs < rememberMs) this.ofKilled += 1;
    else if (/refused/i.test(how)) this.refused.push(sentence);
    else this.unexpected.push(sentence);
  }
}

/** Both ends of a connection on 127.0.0.1. */
export interface Pair {
  readonly server: number;
  readonly client: number;
}

/** The connections that a process has, as the kernel knows (proc_pid_fd(5), proc_net_tcp(5)). */
export function connectionsOf(pid: number): Pair[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // Closed meanwhile.
        return [];
      }
    }),
  );
  const rows = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local, remote, state, , , , , , inode = ''] = row.trim().split(/\s+/);
    const isListener = state === '0A';
    return isListener || !inodes.has(inode) ? [] : [{ server: portOf(local), client: portOf(remote) }];
  });
}

function portOf(address = ''): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}

/** The port of a client is read while it is connected: a socket that is closed has forgotten it. */
function follow(socket: Socket): { readonly port: number | null } {
  const from = { port: null as number | null };
  socket.once('connect', () => (from.port = socket.localPort ?? null));
  return from;
}

export interface Sent {
  readonly sent: number;
}

export async function webSocketClient(
  port: number,
  perSecond: number,
  signal: AbortSignal,
  ledger: Ledger,
): Promise<Sent> {
  let sent = 0;
  while (!signal.aborted) {
    const raw = connect(port, '127.0.0.1');
    const from = follow(raw);
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { createConnection: () => raw });
    const closed = new Promise<number | Error>((resolve) => socket.once('close', resolve).once('error', resolve));
    const opened = await Promise.race([
      new Promise<true>((resolve) => socket.once('open', () => resolve(true))),
      closed,
    ]);
    if (opened !== true) {
      ledger.lost('WebSocket', String(opened), port, from.port);
      continue;
    }
    let answers = 0;
    let asked = 0;
    socket.on('message', () => answers++);
    while (!signal.aborted && socket.readyState === WebSocket.OPEN) {
      socket.send('ping');
      asked++;
      sent++;
      await sleep(1_000 / perSecond);
    }
    socket.close();
    const code = await closed;
    // 1012: the service restarts; what was sent after it is not read by anybody.
    if (code !== 1_012 && code !== 1_005 && code !== 1_000)
      ledger.lost('WebSocket', `closed with ${String(code)}, ${asked - answers} open`, port, from.port);
  }
  return { sent };
}

export async function http2Client(
  port: number,
  scheme: 'http' | 'https',
  perSecond: number,
  signal: AbortSignal,
  ledger: Ledger,
): Promise<Sent> {
  let sent = 0;
  let session: Http2Session | null = null;
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    if (session === null || session.isLeaving) session = new Http2Session(port, scheme, ledger);
    const one = session.ask();
    sent++;
    running.add(one);
    void one.then(() => running.delete(one));
    await sleep(1_000 / perSecond);
  }
  await Promise.all(running);
  session?.end();
  return { sent };
}

/** One connection, until the server says GOAWAY. */
class Http2Session {
  /** It takes no more requests. */
  isLeaving = false;
  readonly #port: number;
  readonly #isSecure: boolean;
  readonly #ledger: Ledger;
  readonly #from: { readonly port: number | null };
  readonly #frames: Frames;
  readonly #session: ClientHttp2Session;
  /** The last stream that the server took, by its last GOAWAY. */
  #last = Number.POSITIVE_INFINITY;

  constructor(port: number, scheme: 'http' | 'https', ledger: Ledger) {
    this.#port = port;
    this.#isSecure = scheme === 'https';
    this.#ledger = ledger;
    const raw = connect(port, '127.0.0.1');
    this.#from = follow(raw);
    const secure = { socket: raw, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    this.#frames = new Frames(this.#isSecure ? connectTls(secure) : raw);
    this.#session = connectHttp2(`${scheme}://127.0.0.1:${port}`, { createConnection: () => this.#frames });
    this.#session
      .on('goaway', (_code, last) => {
        this.#last = last;
        this.isLeaving = true;
      })
      .on('close', () => {
        this.isLeaving = true;
      })
      .on('error', (error) => this.#lost(`session ${error.message}`));
  }

  ask(): Promise<void> {
    const stream = this.#session.request({ ':path': '/' });
    return new Promise((resolve) => {
      let text = '';
      const timer = setTimeout(() => stream.destroy(new Error('no answer')), timeoutMs);
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      // A turn later: by then the session has told of the GOAWAY.
      stream.on('error', (error) => setImmediate(() => this.#failed(stream, error)));
      stream.on('close', () => {
        clearTimeout(timer);
        if (text === '' && stream.rstCode === 0) this.#lost('ended without an answer');
        resolve();
      });
      stream.end();
    });
  }

  end(): void {
    this.#session.destroy();
  }

  #failed({ id = 0, rstCode }: ClientHttp2Stream, error: Error): void {
    const isRefused = rstCode === constants.NGHTTP2_REFUSED_STREAM;
    if (isRefused && !this.#frames.begun.has(id)) this.#ledger.unsent += 1;
    else if (isRefused && this.#isSecure && id > this.#last) this.#ledger.toSendAgain += 1;
    else this.#lost(`stream ${id}: ${error.message}`);
  }

  #lost(how: string): void {
    this.#ledger.lost(this.#isSecure ? 'HTTP/2 over TLS' : 'HTTP/2', how, this.#port, this.#from.port);
  }
}

export async function tlsClient(port: number, perSecond: number, signal: AbortSignal, ledger: Ledger): Promise<Sent> {
  let sent = 0;
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    sent++;
    const one = new Promise<void>((resolve) => {
      const options = { host: '127.0.0.1', port, rejectUnauthorized: false, agent: false, timeout: timeoutMs } as const;
      let from: { readonly port: number | null } = { port: null };
      const call = request(options, (response) => {
        response.resume().on('end', resolve).on('error', fail);
      });
      function fail(error: Error): void {
        ledger.lost('TLS', error.message, port, from.port);
        resolve();
      }
      call
        .on('socket', (socket) => (from = follow(socket)))
        .on('error', fail)
        .on('timeout', () => call.destroy(new Error('no answer')))
        .end();
    });
    running.add(one);
    void one.then(() => running.delete(one));
    await sleep(1_000 / perSecond);
  }
  await Promise.all(running);
  return { sent };
}
