/**
 * A client of HTTP/2 that shows what is on the wire: every frame is written and read here, so that a refused stream and a lost one are told
 * apart, and the client may be as slow to obey a GOAWAY as one with several threads is.
 */
import net, { type Socket } from 'node:net';
import tls from 'node:tls';

const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const endStream = 1;
const endHeaders = 4;
const ack = 1;
const refusedStream = 7;

/** :method GET, :scheme http, :path /, :authority x (RFC 7541 appendix A). */
const getRequest = Uint8Array.of(0x82, 0x86, 0x84, 0x01, 0x01, 0x78);

export type Outcome = 'answered' | 'refused' | 'reset' | 'lost';

export class FrameClient {
  readonly socket: Socket;
  /** The last stream that each GOAWAY allows. */
  readonly goaways: number[] = [];
  /** Called at the first GOAWAY. */
  onGoaway: () => void = () => {};
  /** False for a client that leaves PINGs unanswered. */
  answersPing = true;
  #nextId = 1;
  #unread = Buffer.alloc(0);
  readonly #open = new Map<number, (outcome: Outcome) => void>();
  readonly closed: Promise<void>;

  constructor(port: number, secure: tls.ConnectionOptions | null = null) {
    this.socket =
      secure === null
        ? net.connect(port, '127.0.0.1')
        : tls.connect({ ...secure, port, host: '127.0.0.1', ALPNProtocols: ['h2'] });
    this.socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    this.#send(type.settings, 0, 0, new Uint8Array());
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) =>
      this.socket.on('close', () => {
        for (const done of this.#open.values()) done('lost');
        resolve();
      }),
    );
  }

  get openStreams(): number {
    return this.#open.size;
  }

  /** Sends a request, whatever the server has said. */
  request(): Promise<Outcome> {
    const id = this.#nextId;
    this.#nextId += 2;
    return new Promise((resolve) => {
      if (this.socket.destroyed) resolve('lost');
      this.#open.set(id, (outcome) => {
        this.#open.delete(id);
        resolve(outcome);
      });
      this.#send(type.headers, endStream | endHeaders, id, getRequest);
    });
  }

  #send(kind: number, flags: number, id: number, payload: Uint8Array): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = kind;
    head[4] = flags;
    head.writeUInt32BE(id, 5);
    this.socket.write(Buffer.concat([head, payload]));
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= 9) {
      const length = this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < 9 + length) return;
      const [, , , kind = 0, flags = 0] = this.#unread;
      const id = this.#unread.readUInt32BE(5) & 0x7fffffff;
      const payload = this.#unread.subarray(9, 9 + length);
      this.#unread = this.#unread.subarray(9 + length);
      this.#take(kind, flags, id, payload);
    }
  }

  #take(kind: number, flags: number, id: number, payload: Buffer): void {
    if (kind === type.settings && (flags & ack) === 0) this.#send(type.settings, ack, 0, new Uint8Array());
    else if (kind === type.ping && (flags & ack) === 0 && this.answersPing) this.#send(type.ping, ack, 0, payload);
    else if (kind === type.goaway) {
      this.goaways.push(payload.readUInt32BE(0));
      if (this.goaways.length === 1) this.onGoaway();
    } else if (kind === type.reset)
      this.#open.get(id)?.(payload.readUInt32BE(0) === refusedStream ? 'refused' : 'reset');
    else if (kind === type.data && payload.length > 0) {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(payload.length);
      this.#send(type.windowUpdate, 0, 0, size);
    }
    if ((kind === type.data || kind === type.headers) && (flags & endStream) !== 0) this.#open.get(id)?.('answered');
  }
}
