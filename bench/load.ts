/**
 * Traffic at a fixed rate that counts every way to lose a request. An open loop without retries: a server that stalls is
 * not sent less. Loopback only.
 */
import { Agent, get, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/**
 * - `new`: a connection for each request
 * - `keep-alive`: 20 connections that are used again
 * - `late`: a connection for each request, whose first byte comes 20 ms after it stands, as over a real network
 * - `burst`: 20 new connections at once, ten times a second
 * - `post`: new connections with a body of 64 kB, sent in two halves 10 ms apart
 */
export type LoadMode = 'new' | 'keep-alive' | 'late' | 'burst' | 'post';
export const loadModes: readonly LoadMode[] = ['new', 'keep-alive', 'late', 'burst', 'post'];

/** How a request was lost. */
export interface Lost {
  /** ECONNREFUSED. */
  refused: number;
  /** ECONNRESET or EPIPE. */
  reset: number;
  /** The connection ended before the answer was complete. */
  eof: number;
  /** No connection within the time. */
  timeout: number;
  /** A connection, but no answer within the time. */
  hang: number;
  /** Anything else, such as a status that is not 200. */
  other: number;
}

export interface LoadResult extends Lost {
  sent: number;
  ok: number;
  /** The longest time without a success, ms. */
  gapMs: number;
  /** Of the successes, ms. */
  p50Ms: number;
  p99Ms: number;
  /** Answers, counted by their text up to the first blank: who answered. */
  readonly answers: Map<string, number>;
}

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly mode: LoadMode;
  readonly perSecond: number;
  /** Ends the traffic; requests on their way are waited for. */
  readonly signal: AbortSignal;
  /** @default 5000 */
  readonly timeoutMs?: number;
  /** Called with each loss at the moment it is seen, and with the client's port, null where there was no connection. */
  readonly onLost?: (how: keyof Lost, from: number | null) => void;
}

type Outcome = keyof Lost | 'ok';

const lateFirstByteMs = 20;
const burstSize = 20;
const bodyBytes = 65_536;
const secondHalfMs = 10;

/** Runs until the signal, then waits for what is under way. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { mode, perSecond, signal, timeoutMs = 5_000 } = options;
  const result: LoadResult = {
    sent: 0,
    ok: 0,
    refused: 0,
    reset: 0,
    eof: 0,
    timeout: 0,
    hang: 0,
    other: 0,
    gapMs: 0,
    p50Ms: 0,
    p99Ms: 0,
    answers: new Map(),
  };
  const latencies: number[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 20 });
  const running = new Set<Promise<void>>();
  let lastOkMs = performance.now();
  const one = async (): Promise<void> => {
    const startMs = performance.now();
    result.sent++;
    const { outcome, text, from } =
      mode === 'keep-alive'
        ? await viaAgent(options, agent, timeoutMs)
        : await viaSocket(options, mode === 'late' ? lateFirstByteMs : 0, mode === 'post', timeoutMs);
    result[outcome]++;
    if (outcome !== 'ok') return options.onLost?.(outcome, from);
    const nowMs = performance.now();
    latencies.push(nowMs - startMs);
    result.gapMs = Math.max(result.gapMs, nowMs - lastOkMs);
    lastOkMs = nowMs;
    const who = text.split(' ', 1)[0] ?? '';
    result.answers.set(who, (result.answers.get(who) ?? 0) + 1);
  };
  const perTick = mode === 'burst' ? burstSize : 1;
  const everyMs = (1_000 / perSecond) * perTick;
  const startMs = performance.now();
  for (let tick = 0; !signal.aborted; tick++) {
    await until(startMs + tick * everyMs);
    for (let i = 0; i < perTick; i++) {
      const request = one();
      running.add(request);
      void request.then(() => running.delete(request));
    }
  }
  await Promise.all(running);
  agent.destroy();
  latencies.sort((a, b) => a - b);
  result.p50Ms = latencies[Math.floor(latencies.length * 0.5)] ?? 0;
  result.p99Ms = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  return result;
}

/** Requests over 32 connections that stay open, each sent when the one before it is answered. */
export async function hammer(host: string, port: number, ms: number): Promise<{ perSecond: number; p99Ms: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const latencies: number[] = [];
  const endMs = performance.now() + ms;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await new Promise<void>((resolve, reject) => {
        get({ host, port, agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
      });
      latencies.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: 32 }, one));
  agent.destroy();
  latencies.sort((a, b) => a - b);
  return { perSecond: (latencies.length * 1000) / ms, p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0 };
}

/** What was lost, in all. */
export function lostOf(result: Lost): number {
  return result.refused + result.reset + result.eof + result.timeout + result.hang + result.other;
}

function until(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, timeMs - performance.now())));
}

interface Answer {
  readonly outcome: Outcome;
  readonly text: string;
  /** The client's port; null when it never connected. */
  readonly from: number | null;
}

function viaAgent(options: LoadOptions, agent: Agent, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    let stage: 'timeout' | 'hang' = 'timeout';
    let isOver = false;
    let from: number | null = null;
    const end = (outcome: Outcome, text = ''): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      resolve({ outcome, text, from });
    };
    const call = request({ host: options.host, port: options.port, agent, path: '/' }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => end(response.statusCode === 200 && response.complete ? 'ok' : 'other', text));
      response.on('error', (error) => end(classify(error)));
    });
    call.on('socket', (socket) => {
      const connected = (): void => {
        stage = 'hang';
        // Read now: a socket that is closed has forgotten it.
        from = socket.localPort ?? null;
      };
      if (socket.connecting) socket.once('connect', connected);
      else connected();
    });
    call.on('error', (error) => end(classify(error)));
    call.end();
    const timer = setTimeout(() => {
      end(stage);
      call.destroy();
    }, timeoutMs);
  });
}

function viaSocket(options: LoadOptions, firstByteMs: number, post: boolean, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host: options.host, port: options.port, allowHalfOpen: false });
    let stage: 'timeout' | 'hang' = 'timeout';
    let text = '';
    let isOver = false;
    let from: number | null = null;
    const end = (outcome: Outcome): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ outcome, text: bodyOf(text), from });
    };
    const timer = setTimeout(() => end(stage), timeoutMs);
    socket.setNoDelay(true);
    socket.on('connect', () => {
      stage = 'hang';
      from = socket.localPort ?? null;
      if (firstByteMs === 0) send(socket, post);
      else setTimeout(() => send(socket, post), firstByteMs);
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const state = completeness(text);
      if (state !== 'partial') end(state);
    });
    socket.on('end', () => end('eof'));
    socket.on('close', () => end('eof'));
    socket.on('error', (error) => end(classify(error)));
  });
}

function send(socket: Socket, post: boolean): void {
  if (socket.destroyed) return;
  if (!post) {
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    return;
  }
  const half = Buffer.alloc(bodyBytes / 2, 'x');
  socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bodyBytes}\r\n\r\n`);
  socket.write(half);
  setTimeout(() => {
    if (!socket.destroyed) socket.write(half);
  }, secondHalfMs);
}

/** An answer with Content-Length, or in chunks; complete, of a wrong status, or not all there yet. */
function completeness(text: string): 'ok' | 'other' | 'partial' {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 'partial';
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  const complete = length === undefined ? body.endsWith('0\r\n\r\n') : body.length >= Number(length);
  if (!complete) return 'partial';
  return head.startsWith('HTTP/1.1 200') ? 'ok' : 'other';
}

function bodyOf(text: string): string {
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  return /transfer-encoding: chunked/i.test(text) ? body.replace(/^[0-9a-f]+\r\n/i, '') : body;
}

function classify(error: NodeJS.ErrnoException): Outcome {
  if (error.code === 'ECONNREFUSED') return 'refused';
  if (error.message === 'socket hang up' && error.code === 'ECONNRESET') return 'eof';
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return 'reset';
  return 'other';
}
