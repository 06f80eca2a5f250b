/**
 * Lets the open connections of one server finish, each in the way of its protocol. Nothing is cut before the grace is over.
 *
 * HTTP/1.1: every answer from now on carries `Connection: close`; a connection that is silent is closed only after a linger,
 * because a client that had just sent a request on it would lose it. HTTP/2: see http2-farewell.ts.
 * WebSocket: close frame 1012, service restart (IANA WebSocket close codes).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { Connection } from './connection.ts';
import { type Connections, connectionsOf } from './connections.ts';
import { Farewell } from './http2-farewell.ts';

/** How long a drain waits for what. */
export interface Patience {
  /** Until open connections are reset. */
  readonly graceMs: number;
  /** How long a connection must be silent before it is closed. */
  readonly idleMs: number;
  /** How long a connection may take to send its first byte. */
  readonly firstByteMs: number;
  /**
   * Gives an idle HTTP/1.1 connection to another process, which goes on with it: true when that has it, false to try again later, null when
   * it takes no more. While connections can be moved, answers do not say `Connection: close`, until the linger is over.
   */
  readonly move?: (connection: Socket) => boolean | null;
}

/** What became of the connections that were open when the drain began, and of those that came during it. */
export interface Counts {
  /** Ended by themselves: the last answer was sent, the stream was finished, or the client went. */
  finished: number;
  /** Closed by us while nothing was in flight. */
  idle: number;
  /** Reset when the grace was over. */
  killed: number;
}

/** What is remembered about one connection while it drains. */
interface Watched {
  /** Bytes read and written at the last look. */
  traffic: number;
  quietSinceMs: number;
  /** We said goodbye and wait for the client to close. */
  parting: 'no' | 'idle' | 'told';
  farewell: Farewell | null;
}

/** How long a client has at least to answer our FIN with its own. */
const leaveMs = 100;

/** A server that is being drained. */
export class Drain {
  readonly counts: Counts = { finished: 0, idle: 0, killed: 0 };
  readonly #server: Server;
  readonly #patience: Patience;
  readonly #list: Connections;
  readonly #watched = new Map<Connection, Watched>();
  #done: (() => void) | undefined;
  /** The answer that says `Connection: close`, by its connection. */
  readonly #lastAnswers = new WeakMap<Socket, ServerResponse>();
  readonly #sayClose = (request: IncomingMessage, response: ServerResponse): void => {
    // An HTTP/2 answer has no such field; its session says GOAWAY.
    if (!this.#moves && 'shouldKeepAlive' in response) this.#sayCloseIn(response, request.socket);
  };
  #moves: boolean;
  #endMs = Number.POSITIVE_INFINITY;
  #lingerEndMs = Number.POSITIVE_INFINITY;

  /** Begins: answers say `Connection: close`, and each connection is watched. */
  constructor(server: Server, patience: Patience) {
    this.#server = server;
    this.#patience = patience;
    this.#moves = patience.move !== undefined;
    this.#list = connectionsOf(server);
    for (const raw of this.#list.open()) this.#watch(new Connection(server, raw));
    this.#list.onConnection((raw) => this.#watch(new Connection(server, raw)));
    for (const event of requestEvents) {
      // A listener for the last two would change what the server answers, so they are followed only where one exists.
      if (event === 'request' || server.listenerCount(event) > 0) server.prependListener(event, this.#sayClose);
    }
  }

  /**
   * Call it when the listener is closed and nothing new can come: from now on silent connections are closed, and after the grace,
   * or when `hurry` is aborted, all of them. Resolves when none is left.
   */
  async finish(hurry: AbortSignal): Promise<Counts> {
    const nowMs = performance.now();
    this.#endMs = hurry.aborted ? nowMs : nowMs + this.#patience.graceMs;
    this.#lingerEndMs = nowMs + this.#patience.idleMs;
    const handsOff = this.#server.emit('drain', { graceMs: this.#patience.graceMs });
    for (const [connection, watched] of this.#watched) {
      watched.quietSinceMs = nowMs;
      // A program that listens for 'drain' says goodbye in its own words first; it has the linger for that.
      if (connection.upgraded === 'websocket' && !handsOff) tellRestart(connection, watched);
    }
    const kill = (): void => {
      this.#endMs = nowMs;
      this.#look();
    };
    hurry.addEventListener('abort', kill, { once: true });
    const everyMs = Math.max(5, Math.min(50, this.#patience.idleMs / 10, this.#patience.graceMs / 4));
    const timer = setInterval(() => this.#look(), everyMs);
    await new Promise<void>((resolve) => {
      this.#done = resolve;
      this.#look();
    });
    clearInterval(timer);
    hurry.removeEventListener('abort', kill);
    this.#list.onConnection(null);
    for (const event of requestEvents) this.#server.removeListener(event, this.#sayClose);
    return this.counts;
  }

  #watch(connection: Connection): void {
    const watched: Watched = {
      traffic: connection.traffic,
      quietSinceMs: performance.now(),
      parting: 'no',
      farewell: null,
    };
    this.#watched.set(connection, watched);
    const { answer } = connection;
    if (answer !== null && !answer.headersSent && !this.#moves && isLastRequest(connection.outer, answer))
      this.#sayCloseIn(answer, connection.outer);
    connection.raw.once('close', () => {
      this.#gone(connection, watched);
      this.#endIfEmpty();
    });
  }

  #gone(connection: Connection, { parting, farewell }: Watched): void {
    if (!this.#watched.delete(connection)) return;
    if (parting === 'idle' || farewell?.empty === true) this.counts.idle++;
    else this.counts.finished++;
  }

  /** Only the last of several pipelined answers may say it: Node sends none after that. */
  #sayCloseIn(answer: ServerResponse, socket: Socket): void {
    if (!answer.shouldKeepAlive) return;
    const earlier = this.#lastAnswers.get(socket);
    if (earlier !== undefined && !earlier.headersSent) earlier.shouldKeepAlive = true;
    answer.shouldKeepAlive = false;
    this.#lastAnswers.set(socket, answer);
  }

  #look(): void {
    const nowMs = performance.now();
    if (nowMs >= this.#lingerEndMs) this.#moves = false;
    for (const [connection, watched] of this.#watched) {
      // A program may have removed our listener together with its own.
      if (connection.raw.destroyed && connection.raw.closed) this.#gone(connection, watched);
      else if (nowMs >= this.#endMs) this.#reset(connection, watched);
      else this.#lookAt(connection, watched, nowMs);
    }
    this.#endIfEmpty();
  }

  #lookAt(connection: Connection, watched: Watched, nowMs: number): void {
    if (this.#moves && this.#move(connection)) return;
    const { outer, session, upgraded, traffic } = connection;
    const answer = session === null && upgraded === null ? connection.answer : null;
    if (traffic !== watched.traffic || answer !== null) {
      watched.traffic = traffic;
      watched.quietSinceMs = nowMs;
    }
    const quietMs = nowMs - watched.quietSinceMs;
    const patienceMs = Math.max(this.#patience.idleMs, leaveMs);
    if (watched.parting === 'idle') {
      // It was told and does not go; nothing is in flight, and a reset leaves nothing behind.
      if (quietMs >= patienceMs) reset(connection);
    } else if (session !== null) {
      watched.farewell ??= new Farewell(connection, session, patienceMs);
      watched.farewell.look(nowMs, quietMs);
      if (watched.farewell.isOver && quietMs >= patienceMs) reset(connection);
    } else if (upgraded === 'websocket') {
      if (watched.parting === 'no' && nowMs >= this.#lingerEndMs) tellRestart(connection, watched);
      // A client answers a close frame at once (RFC 6455 §5.5.1); this one is gone.
      else if (watched.parting === 'told' && quietMs >= patienceMs) part(connection, watched, nowMs);
    } else if (upgraded !== null && outer.writableFinished) {
      // The program has said its last, and the client sends nothing either.
      if (quietMs >= patienceMs) part(connection, watched, nowMs);
    } else if (answer !== null) {
      if (watched.parting === 'no' && nowMs >= this.#lingerEndMs && isEndless(answer)) {
        watched.parting = 'told';
        answer.end(() => outer.end());
      }
    } else if (upgraded !== null || connection.isOpaque || connection.isHalfOpen) {
      // It ends by itself, or at the end of the grace.
    } else if (quietMs >= this.#allowedMs(outer) && !connection.isHalfRead) {
      part(connection, watched, nowMs);
    }
  }

  /** True when another process has it. Between two requests there is nothing that only this process knows. */
  #move(connection: Connection): boolean {
    const { raw, isSecure, session, upgraded, answer, isHalfRead, unsentBytes } = connection;
    const idle = !isSecure && session === null && upgraded === null && answer === null;
    if (!idle || unsentBytes > 0 || raw.readableLength > 0 || !raw.writable || isHalfRead) return false;
    const moved = this.#patience.move?.(raw) ?? null;
    if (moved === true) this.#watched.delete(connection);
    else if (moved === null) this.#moves = false;
    return moved === true;
  }

  #allowedMs(outer: Socket): number {
    const { firstByteMs, idleMs } = this.#patience;
    return outer.bytesRead === 0 ? firstByteMs : idleMs;
  }

  #reset(connection: Connection, watched: Watched): void {
    // Nothing was under way on it; it only had not gone yet.
    if (watched.parting === 'idle' || watched.farewell?.isOver === true) this.#gone(connection, watched);
    else if (this.#watched.delete(connection)) this.counts.killed++;
    connection.session?.destroy();
    reset(connection);
  }

  #endIfEmpty(): void {
    if (this.#watched.size === 0) this.#done?.();
  }
}

const requestEvents = ['request', 'checkContinue', 'checkExpectation'];

/** False when the client has sent another request behind the one that is being answered. */
function isLastRequest(socket: Socket, answer: ServerResponse): boolean {
  const { parser } = socket as { parser?: { incoming?: IncomingMessage | null } | null };
  return (parser?.incoming ?? answer.req) === answer.req;
}

/** Server-sent events never end by themselves; the client connects again when they do. */
function isEndless(response: ServerResponse): boolean {
  // Headers given to writeHead() are in no getHeader(); Node keeps the text that it sent.
  const head = (response as { _header?: string | null })._header ?? '';
  return response.headersSent && /^content-type: *text\/event-stream/im.test(head);
}

/** A close frame from a server: FIN and opcode 8, two bytes, 1012. Frames are written whole, so it cannot cut another one (RFC 6455 §5.4). */
const restartFrame = Uint8Array.of(0x88, 0x02, 1012 >> 8, 1012 & 255);

function tellRestart(connection: Connection, watched: Watched): void {
  watched.parting = 'told';
  if (connection.outer.writable) connection.outer.write(restartFrame);
}

/** Says goodbye to a connection on which nothing is in flight. */
function part({ outer }: Connection, watched: Watched, nowMs: number): void {
  watched.parting = 'idle';
  watched.quietSinceMs = nowMs;
  outer.end();
}

/** A reset leaves neither FIN_WAIT nor TIME_WAIT behind (tcp(7), SO_LINGER 0). */
function reset({ raw, outer }: Connection): void {
  // Node loses a socket that is reset while its FIN is still under way: libuv refuses, and the handle is never closed (uv_tcp_close_reset).
  const parting = (socket: Socket): boolean => socket.writableEnded && !socket.writableFinished;
  if (parting(raw) || parting(outer)) {
    raw.destroy();
    return;
  }
  try {
    raw.resetAndDestroy();
  } catch {
    // A Unix socket has no reset.
    raw.destroy();
  }
}
