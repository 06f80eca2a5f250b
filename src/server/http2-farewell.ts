/**
 * Ends one HTTP/2 session without refusing a stream (RFC 9113 §6.8): first a GOAWAY that allows every stream, so that what the client has
 * sent by then is served; a round trip later, when no stream is open, the last one.
 */
import { writeSync } from 'node:fs';
import type { ServerHttp2Session } from 'node:http2';
import type { Connection } from './connection.ts';
import { openDescriptor } from './descriptor.ts';
import { openStreams } from './hidden.ts';

/** The highest stream id there is. */
const everyStream = 2 ** 31 - 1;

/**
 * GOAWAY on stream 0, the last stream 2^31-1, no error. Written below Node: after a GOAWAY of its own, nghttp2 ignores every new stream, whatever
 * the frame allows, and nghttp2_submit_shutdown_notice, which is meant for this, cannot be reached from JavaScript (Node 20 to 26).
 */
const notice = Uint8Array.of(0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0);

/**
 * How long a session is still open after its last byte. A client with several threads may send a request that it had begun, after it
 * has answered our PING (Go's does).
 */
const settleMs = 100;

/**
 * The notice follows a PING whose answer shows that the client has read everything, if one does so soon: a client that reads answers and the notice
 * at once may begin new requests between the two, which Node's own client then refuses itself.
 */
const soonMs = 200;
const pingBytes = 17;
const pauseMs = 1;
/**
 * Without a stream for this long a client rests. Before that it may be about to send its next request, so that the notice waits for that: while
 * it is answered, a client that asks one thing after the other sends nothing.
 */
const restMs = 100;

/** What cannot be written now is tried again after this. */
const againMs = 10;

export class Farewell {
  readonly #connection: Connection;
  readonly #session: ServerHttp2Session;
  readonly #patienceMs: number;
  #noticedAtMs: number | null = null;
  #answeredAtMs: number | null = null;
  /** Node sent the notice, so that it ignores what the client sends from then on. */
  #ignores = false;
  #streamlessSinceMs: number | null = null;
  /** False once a stream was seen: then the session finished something. */
  empty = true;

  /** @param patienceMs For a client that does not answer, and for one that opens new streams all the same. */
  constructor(connection: Connection, session: ServerHttp2Session, patienceMs: number) {
    this.#connection = connection;
    this.#session = session;
    this.#patienceMs = patienceMs;
    const longestMs = connection.isSecure ? patienceMs : Math.min(soonMs, patienceMs);
    this.#begin(performance.now() + longestMs);
    // For a client that answers no PING.
    setTimeout(() => this.#notify(), longestMs);
  }

  /** True when nothing more comes on the session, and only its socket may be open. */
  get isOver(): boolean {
    return this.#session.destroyed;
  }

  /** The next step if it is time for it; to be called until the socket is closed. `quietMs` is how long no byte went in or out. */
  look(nowMs: number, quietMs: number): void {
    const session = this.#session;
    if (session.destroyed) return;
    const streams = openStreams(session);
    if (streams !== 0) this.empty = false;
    // Also when the program, or the client by a GOAWAY of its own, ended it.
    if (session.closed || this.#noticedAtMs === null) return;
    const answeredMs = this.#answeredAtMs === null ? null : nowMs - this.#answeredAtMs;
    if (answeredMs !== null && this.#ignores) {
      // With the last stream that was taken, so that the client can send the others to somebody else at once.
      session.goaway();
      this.#ignores = false;
    }
    const settled = answeredMs !== null && answeredMs >= settleMs && quietMs >= settleMs && (streams ?? 0) === 0;
    // A client that goes on opening streams does not keep to the protocol.
    const ignored = answeredMs !== null && answeredMs >= this.#patienceMs;
    // Node's own client without a stream answers nothing after the first GOAWAY.
    const mute = streams === 0 && quietMs >= this.#patienceMs;
    if (settled || ignored || mute) session.close();
  }

  #begin(untilMs: number): void {
    if (!this.#isWaiting) return;
    const { outer } = this.#connection;
    const before = outer.bytesWritten;
    this.#session.ping(() => {
      const hasReadAll = outer.bytesWritten - before === pingBytes;
      if (performance.now() >= untilMs) this.#notify();
      else if (!hasReadAll) this.#begin(untilMs);
      else if (this.#connection.isSecure) this.#afterPause(untilMs, outer.bytesWritten);
      else this.#notify();
    });
  }

  /** Over TLS, what is on its way is lost: what the client sent together with its answer is awaited, and it gets nothing to react to. */
  #afterPause(untilMs: number, bytesWritten: number): void {
    setTimeout(() => {
      if (this.#connection.outer.bytesWritten === bytesWritten && this.#isCalm) this.#notify();
      else this.#begin(untilMs);
    }, pauseMs);
  }

  /** True while a stream is open, and when none was for a while. */
  get #isCalm(): boolean {
    if (this.#session.destroyed || openStreams(this.#session) !== 0) {
      this.#streamlessSinceMs = null;
      return true;
    }
    const nowMs = performance.now();
    this.#streamlessSinceMs ??= nowMs;
    return nowMs - this.#streamlessSinceMs >= restMs;
  }

  get #isWaiting(): boolean {
    return this.#noticedAtMs === null && !this.#session.destroyed && !this.#session.closed;
  }

  #notify(triesLeft = this.#patienceMs / againMs): void {
    if (!this.#isWaiting) return;
    if (this.#connection.isSecure || triesLeft <= 0) {
      // TLS has no place between Node and the socket for a frame.
      this.#session.goaway(0, everyStream);
      this.#ignores = true;
    } else if (!writeNotice(this.#connection)) {
      setTimeout(() => this.#notify(triesLeft - 1), againMs);
      return;
    }
    this.#noticedAtMs = performance.now();
    this.#ping();
  }

  #ping(): void {
    if (this.#session.destroyed || this.#session.closed) return;
    // Refused while ten others are under way.
    if (!this.#session.ping(() => (this.#answeredAtMs = performance.now()))) setTimeout(() => this.#ping(), againMs);
  }
}

/** False when it is not possible now, or not at all. */
function writeNotice({ raw, isSecure, unsentBytes }: Connection): boolean {
  const fd = openDescriptor(raw);
  // Node writes whole frames, so that between two of its writes is between two frames.
  if (isSecure || fd === null || unsentBytes > 0) return false;
  try {
    const written = writeSync(fd, notice);
    // The kernel had room for a part of 17 bytes: what follows would be garbage.
    if (written < notice.length) raw.destroy();
    return true;
  } catch {
    // EAGAIN: the client does not read. Anything else: the connection is about to end.
    return false;
  }
}
