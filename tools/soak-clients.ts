/**
 * Clients of the soak, and what they lost. A client does what the protocol asks for: it connects again when a WebSocket says 1012, and opens
 * another HTTP/2 session after GOAWAY. Nothing else is tried again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import WebSocket from 'ws';

const timeoutMs = 8_000;
/** The port of a client is another connection's some time later. */
const rememberMs = timeoutMs + 2_000;

/** What was lost, apart by whether a killed process had accepted its connection. */
export class Ledger {
  readonly refused: string[] = [];
  ofKilled = 0;
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
  const what = scheme === 'http' ? 'HTTP/2' : 'HTTP/2 over TLS';
  let sent = 0;
  let session: ClientHttp2Session | null = null;
  let from: { readonly port: number | null } = { port: null };
  const fresh = (): ClientHttp2Session => {
    const raw = connect(port, '127.0.0.1');
    from = follow(raw);
    const own = from;
    const socket =
      scheme === 'http' ? raw : connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const made = connectHttp2(`${scheme}://127.0.0.1:${port}`, { createConnection: () => socket });
    const leave = (): void => {
      if (session === made) session = null;
    };
    made.on('goaway', leave).on('close', leave);
    made.on('error', (error) => ledger.lost(what, `session ${error.message}`, port, own.port));
    return made;
  };
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    session ??= fresh();
    const own = from;
    const stream = session.request({ ':path': '/' });
    sent++;
    const one = new Promise<void>((resolve) => {
      let text = '';
      const timer = setTimeout(() => stream.destroy(new Error('no answer')), timeoutMs);
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('error', (error) => ledger.lost(what, error.message, port, own.port));
      stream.on('close', () => {
        clearTimeout(timer);
        if (text === '' && stream.rstCode === 0) ledger.lost(what, 'ended without an answer', port, own.port);
        resolve();
      });
      stream.end();
    });
    running.add(one);
    void one.then(() => running.delete(one));
    await sleep(1_000 / perSecond);
  }
  await Promise.all(running);
  (session as ClientHttp2Session | null)?.destroy();
  return { sent };
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
