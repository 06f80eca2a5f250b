/**
 * Clients of the soak, and what they lost. A client does what the protocol asks for: it connects again when a WebSocket says 1012, and opens
 * another HTTP/2 session after GOAWAY. Nothing else is tried again.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

/** What was on its way when a process was killed is lost within this time. */
const killedMs = 1_500;
const timeoutMs = 8_000;

/** What was lost, apart by whether a killed process had it. */
export class Ledger {
  readonly refused: string[] = [];
  ofKilled = 0;
  readonly unexpected: string[] = [];
  #killedAtMs = Number.NEGATIVE_INFINITY;

  /** A process was killed just now: what it had accepted is lost. */
  killed(): void {
    this.#killedAtMs = performance.now();
  }

  lost(client: string, how: string): void {
    const wasKilled = performance.now() - this.#killedAtMs < killedMs;
    // Streams that a killed process never began are refused by the client itself.
    if (/ECONNREFUSED/.test(how) || how === 'refused' || (/REFUSED/.test(how) && !wasKilled))
      this.refused.push(`${new Date().toISOString()} ${client}: ${how}`);
    else if (wasKilled) this.ofKilled += 1;
    else this.unexpected.push(`${new Date().toISOString()} ${client}: ${how}`);
  }
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
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    const closed = new Promise<number | Error>((resolve) => socket.once('close', resolve).once('error', resolve));
    const opened = await Promise.race([
      new Promise<true>((resolve) => socket.once('open', () => resolve(true))),
      closed,
    ]);
    if (opened !== true) {
      ledger.lost('WebSocket', String(opened));
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
      ledger.lost('WebSocket', `closed with ${String(code)}, ${asked - answers} open`);
  }
  return { sent };
}

export async function http2Client(port: number, perSecond: number, signal: AbortSignal, ledger: Ledger): Promise<Sent> {
  let sent = 0;
  let session: ClientHttp2Session | null = null;
  const fresh = (): ClientHttp2Session => {
    const made = connectHttp2(`http://127.0.0.1:${port}`);
    const leave = (): void => {
      if (session === made) session = null;
    };
    made.on('goaway', leave).on('close', leave);
    made.on('error', (error) => ledger.lost('HTTP/2', `session ${error.message}`));
    return made;
  };
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    session ??= fresh();
    const stream = session.request({ ':path': '/' });
    sent++;
    const one = new Promise<void>((resolve) => {
      let text = '';
      const timer = setTimeout(() => stream.destroy(new Error('no answer')), timeoutMs);
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('error', (error) => ledger.lost('HTTP/2', error.message));
      stream.on('close', () => {
        clearTimeout(timer);
        if (text === '' && stream.rstCode === 0) ledger.lost('HTTP/2', 'ended without an answer');
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
      const call = request(options, (response) => {
        response.resume().on('end', resolve).on('error', fail);
      });
      function fail(error: Error): void {
        ledger.lost('TLS', error.message);
        resolve();
      }
      call
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
