/**
 * Lets the open connections of one server finish, each in the way of its protocol. Nothing is cut before the grace is over.
 *
 * HTTP/1.1: every answer from now on carries `Connection: close`; a connection that is silent is closed only after a linger,
 * because a client that had just sent a request on it would lose it. HTTP/2: GOAWAY, in the two steps of RFC 9113 §6.8.
 * WebSocket: close frame 1012, service restart (IANA WebSocket close codes).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { type Connection, connectionsOf, hidden } from './connections.ts';

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
  /** Nothing was in flight when we said it. */
  empty: boolean;
}

/** How long a client has at least to answer our FIN with its own. */
const leaveMs = 100;

/** A server that is being drained. */
export class Drain {
  readonly counts: Counts = { finished: 0, idle: 0, killed: 0 };
  readonly #server: Server;
  readonly #patience: Patience;
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
    const list = connectionsOf(server);
    for (const connection of list) this.#watch(connection);
    list.onConnection((connection) => this.#watch(connection));
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
    for (const event of requestEvents) this.#server.removeListener(event, this.#sayClose);
    return this.counts;
  }

  #watch(connection: Connection): void {
    const watched: Watched = {
      traffic: traffic(connection),
      quietSinceMs: performance.now(),
      parting: 'no',
      empty: false,
    };
    this.#watched.set(connection, watched);
    const answer = answering(connection.outer);
    if (answer !== null && !answer.headersSent && !this.#moves && isLastRequest(connection.outer, answer))
      this.#sayCloseIn(answer, connection.outer);
    connection.raw.once('close', () => {
      if (!this.#watched.delete(connection)) return;
      if (watched.parting === 'idle' || watched.empty) this.counts.idle++;
      else this.counts.finished++;
      this.#endIfEmpty();
    });
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
      if (nowMs >= this.#endMs) this.#reset(connection, watched);
      else this.#lookAt(connection, watched, nowMs);
    }
    this.#endIfEmpty();
  }

  #lookAt(connection: Connection, watched: Watched, nowMs: number): void {
    if (this.#moves && this.#move(connection)) return;
    const { outer, session, upgraded } = connection;
    const answer = session === null && upgraded === null ? answering(outer) : null;
    const now = traffic(connection);
    if (now !== watched.traffic || answer !== null) {
      watched.traffic = now;
      watched.quietSinceMs = nowMs;
    }
    const quietMs = nowMs - watched.quietSinceMs;
    if (watched.parting === 'idle') {
      // It was told and does not go; nothing is in flight, and a reset leaves nothing behind.
      if (quietMs >= Math.max(this.#patience.idleMs, leaveMs)) reset(connection);
    } else if (session !== null) {
      goAway(connection, watched, this.#patience.idleMs);
    } else if (upgraded === 'websocket') {
      if (watched.parting === 'no' && nowMs >= this.#lingerEndMs) tellRestart(connection, watched);
    } else if (answer !== null) {
      if (watched.parting === 'no' && nowMs >= this.#lingerEndMs && isEndless(answer)) {
        watched.parting = 'told';
        answer.end(() => outer.end());
      }
    } else if (isHiddenSession(this.#server, outer)) {
      // Its streams cannot be seen, so only the grace ends it.
    } else if (upgraded === null && quietMs >= this.#allowedMs(outer) && !isHalfRead(this.#server, outer)) {
      watched.parting = 'idle';
      watched.quietSinceMs = nowMs;
      outer.end();
    }
  }

  /** True when another process has it. Between two requests there is nothing that only this process knows. */
  #move(connection: Connection): boolean {
    const { raw, outer, session, upgraded } = connection;
    const unsent =
      raw.writableLength + ((raw as { _handle?: { writeQueueSize?: number } })._handle?.writeQueueSize ?? 0);
    const idle = raw === outer && session === null && upgraded === null && answering(raw) === null;
    if (!idle || unsent > 0 || raw.readableLength > 0 || !raw.writable || isHalfRead(this.#server, raw)) return false;
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
    this.#watched.delete(connection);
    if (watched.parting === 'idle') this.counts.idle++;
    else this.counts.killed++;
    connection.session?.destroy();
    reset(connection);
  }

  #endIfEmpty(): void {
    if (this.#watched.size === 0) this.#done?.();
  }
}

const requestEvents = ['request', 'checkContinue', 'checkExpectation'];

/** The HTTP/1.1 answer that is being given on a socket, or null. Node keeps it under this name since 0.x. */
function answering(socket: Socket): ServerResponse | null {
  const message = (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? null;
  return message === null || message.writableFinished ? null : message;
}

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

/** True when the head of a request has come in part. Only Node's own list of parsers knows; without it the linger decides. */
function isHalfRead(server: Server, socket: Socket): boolean {
  const parsers = hidden(server, 'http.server.connections') as { active?: () => { socket?: Socket }[] } | undefined;
  return socket.bytesRead > 0 && (parsers?.active?.().some((parser) => parser.socket === socket) ?? false);
}

/** An HTTP/2 session that was opened before the list of connections began: Node 20 and 22 tell it to nobody. */
function isHiddenSession(server: Server, socket: Socket & { alpnProtocol?: string | false }): boolean {
  return 'updateSettings' in server && socket.bytesRead > 0 && socket.alpnProtocol !== 'http/1.1';
}

function traffic(connection: Connection): number {
  return connection.outer.bytesRead + connection.outer.bytesWritten;
}

/** First "no new streams", then, when the client has certainly read it, the last stream that counts (RFC 9113 §6.8). */
function goAway(connection: Connection, watched: Watched, idleMs: number): void {
  const { session } = connection;
  if (session === null || watched.parting !== 'no' || session.closed || session.destroyed) return;
  watched.parting = 'told';
  const openStreams = (): number => {
    const state = hidden(session, 'state') as { readonly streams?: ReadonlyMap<number, unknown> } | undefined;
    return state?.streams?.size ?? 1;
  };
  watched.empty = openStreams() === 0;
  // Node's own client without a stream answers nothing after the first GOAWAY, and leaves its socket open.
  const late = setTimeout(() => end(), idleMs);
  session.goaway(0, 2 ** 31 - 1);
  const end = (): void => {
    clearTimeout(late);
    if (session.destroyed) return;
    watched.empty &&= openStreams() === 0;
    session.close();
  };
  if (!session.ping(end)) end();
}

/** A close frame from a server: FIN and opcode 8, two bytes, 1012. Frames are written whole, so it cannot cut another one (RFC 6455 §5.4). */
const restartFrame = Uint8Array.of(0x88, 0x02, 1012 >> 8, 1012 & 255);

function tellRestart(connection: Connection, watched: Watched): void {
  watched.parting = 'told';
  if (connection.outer.writable) connection.outer.write(restartFrame);
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
