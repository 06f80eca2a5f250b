/**
 * A recorded kernel: its netlink datagrams and a part of its /proc (made by tools/record-kernel.ts).
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Conversation } from '../../../src/os/linux/netlink/netlink.ts';

/** A file's bytes as latin1 text, or where a link points. */
export type RecordedFile = string | { readonly link: string };

export interface Recording {
  readonly kernel: string;
  readonly arch: string;
  /** Where everything was bound. */
  readonly port: number;
  /** The path of the Unix socket. */
  readonly path: string;
  /** A process that inherited the socket bound to 127.0.0.2. */
  readonly child: number;
  /** Datagrams in hexadecimal, by the request in hexadecimal with sequence number 0. */
  readonly conversations: Record<string, string[]>;
  readonly proc: Record<string, RecordedFile>;
}

export function readRecording(name: string): Recording {
  // The compiled test is in build/test/os/linux.
  return JSON.parse(readFileSync(new URL(`../../../../test/fixtures/${name}`, import.meta.url), 'utf8')) as Recording;
}

/** Lays a recorded tree out as files. */
export function unpack(proc: Record<string, RecordedFile>): Disposable & { readonly root: string } {
  const root = mkdtempSync(join(tmpdir(), 'rebind-proc-'));
  for (const [path, content] of Object.entries(proc)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (typeof content === 'string') writeFileSync(join(root, path), content, 'latin1');
    else symlinkSync(content.link, join(root, path));
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

/** A kernel that says again what it said when it was recorded. */
export function replay({ conversations }: Pick<Recording, 'conversations'>): Conversation & { close(): void } {
  let waiting: Buffer[] = [];
  return {
    send(request) {
      const key = Buffer.concat([request.subarray(0, 8), Buffer.alloc(4), request.subarray(12)]).toString('hex');
      const recorded = conversations[key];
      if (recorded === undefined) throw new Error(`Nothing was recorded for the request ${key}`);
      waiting = recorded.map((hex) => withSequence(Buffer.from(hex, 'hex'), request));
    },
    receive() {
      const datagram = waiting.shift();
      if (datagram === undefined) throw new Error('The recorded answer is over');
      return datagram;
    },
    close() {},
  };
}

/** Every message of a datagram carries the sequence number of its question. */
function withSequence(datagram: Buffer, request: Buffer): Buffer {
  for (let at = 0; at + 16 <= datagram.length; ) {
    request.copy(datagram, at + 8, 8, 12);
    at += (datagram.readUInt32LE(at) + 3) & ~3;
  }
  return datagram;
}

/** Datagrams that are made up. */
export function scripted(answer: (request: Buffer) => Iterable<Buffer>): Conversation & { close(): void } {
  let iterator: Iterator<Buffer> | undefined;
  return {
    send(request) {
      iterator = answer(request)[Symbol.iterator]();
    },
    receive() {
      const next = iterator?.next();
      if (next === undefined || next.done === true) throw new Error('The made-up kernel has nothing more to say');
      return next.value;
    },
    close() {},
  };
}

/** One message with its header, in the byte order of the recordings (little). */
export function message(type: number, flags: number, sequence: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc((16 + body.length + 3) & ~3);
  bytes.writeUInt32LE(16 + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  body.copy(bytes, 16);
  return bytes;
}
