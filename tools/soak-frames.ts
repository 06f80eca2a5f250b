/**
 * An HTTP/2 client's connection, with a look at what it sends. A GOAWAY that arrives between a request and its first byte makes Node's own client
 * refuse that stream (nghttp2: no stream is started after GOAWAY), so that only the bytes tell whether a server could have served it.
 */
import { Duplex } from 'node:stream';

const preface = 24;
const frameHead = 9;
const typeOfHeaders = 1;

export class Frames extends Duplex {
  /** The streams whose HEADERS were sent. */
  readonly begun = new Set<number>();
  readonly #inner: Duplex;
  /** Bytes until the next frame: the connection begins with the preface (RFC 9113 §3.4). */
  #skip = preface;
  #head: Buffer = Buffer.alloc(0);

  constructor(inner: Duplex) {
    super({ allowHalfOpen: false });
    this.#inner = inner;
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.on('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    inner.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#look(chunk);
    this.#inner.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#inner.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy();
    done(error);
  }

  #look(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      const more = bytes.subarray(at, at + frameHead - this.#head.length);
      this.#head = Buffer.concat([this.#head, more]);
      at += more.length;
      if (this.#head.length < frameHead) return;
      if (this.#head[3] === typeOfHeaders) this.begun.add(this.#head.readUInt32BE(5) & 0x7fffffff);
      this.#skip = this.#head.readUIntBE(0, 3);
      this.#head = Buffer.alloc(0);
    }
  }
}
