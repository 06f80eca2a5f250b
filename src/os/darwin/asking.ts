/**
 * Questions to the kernel whose answer is bytes: the calls with their buffers, so that nobody else counts them.
 */
import { type Fields, type Layout, LayoutError, type Read } from './layout.ts';
import type { LibSystem } from './lib-system.ts';
import { ENOMEM, errnoName, failure } from './numbers.ts';

/** Sockets come between the question for the size and that for the list; the kernel says ENOMEM then. */
const mostTries = 5;
/** More than any list that a machine has. */
const mostBytes = 268_435_456;

/** What the kernel refused, by the name of its errno. */
export interface Refused {
  readonly why: string;
}

/** The value of a setting, as many bytes as there are. @throws {NativeError} */
export function sysctlBytes(lib: LibSystem, name: string | readonly number[]): Buffer {
  const call = (buffer: Buffer | null, length: Buffer): number =>
    typeof name === 'string' ? lib.sysctlbyname(name, buffer, length) : lib.sysctl(name, buffer, length);
  for (let again = 0; ; again++) {
    const length = Buffer.alloc(8);
    if (call(null, length) !== 0) throw failure('sysctl', lib.errno(), String(name));
    const size = Math.min(Number(length.readBigUInt64LE(0)), mostBytes);
    const room = Buffer.alloc(size + Math.floor(size / 8));
    length.writeBigUInt64LE(BigInt(room.length));
    if (call(room, length) === 0) return room.subarray(0, Number(length.readBigUInt64LE(0)));
    const errno = lib.errno();
    if (errno !== ENOMEM || again === mostTries) throw failure('sysctl', errno, String(name));
  }
}

/** A setting that is one number; null when there is none, or it is something else. */
export function sysctlNumber(lib: LibSystem, name: string): number | null {
  const value = Buffer.alloc(8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(8n);
  if (lib.sysctlbyname(name, value, length) !== 0) return null;
  const size = Number(length.readBigUInt64LE(0));
  if (size === 4) return value.readInt32LE(0);
  return size === 8 ? Number(value.readBigInt64LE(0)) : null;
}

/** A structure of which the kernel says the size. @throws {LayoutError} when it is another one. */
export function structureOf<const F extends Fields>(
  lib: LibSystem,
  layout: Layout<F>,
  call: (buffer: Buffer, size: number) => number,
): Read<F> | Refused {
  // A structure that has become longer is refused by the kernel (ENOMEM), one that has become shorter shows in the result.
  const buffer = Buffer.alloc(layout.size);
  const got = call(buffer, buffer.length);
  if (got === layout.size) return layout.read(buffer);
  if (got > 0) throw new LayoutError(`${layout.name} has ${layout.size} bytes, and the kernel gave ${got}`);
  const errno = lib.errno();
  if (errno === ENOMEM) throw new LayoutError(`${layout.name} has ${layout.size} bytes, and the kernel has more`);
  return { why: errnoName(errno) };
}

/** A list of equal entries, which may grow while it is asked for. */
export function listOf<const F extends Fields>(
  lib: LibSystem,
  layout: Layout<F>,
  call: (buffer: Buffer | null, size: number) => number,
): readonly Read<F>[] | Refused {
  for (let again = 0; ; again++) {
    lib.clearErrno();
    const wanted = call(null, 0);
    if (wanted <= 0) return lib.errno() === 0 ? [] : { why: errnoName(lib.errno()) };
    const buffer = Buffer.alloc(Math.min(wanted + 32 * layout.size, mostBytes));
    lib.clearErrno();
    const got = call(buffer, buffer.length);
    if (got <= 0) return lib.errno() === 0 ? [] : { why: errnoName(lib.errno()) };
    // Full to the brim: there may be more.
    if (got >= buffer.length && again < mostTries) continue;
    const entries: Read<F>[] = [];
    for (let at = 0; at + layout.size <= Math.min(got, buffer.length); at += layout.size)
      entries.push(layout.read(buffer, at));
    return entries;
  }
}

/** Every process number that is shown to us. */
export function listPids(lib: LibSystem, type: number): readonly number[] | Refused {
  for (let again = 0; ; again++) {
    const wanted = lib.proc_listpids(type, 0, null, 0);
    if (wanted <= 0) return { why: errnoName(lib.errno()) };
    const buffer = Buffer.alloc(wanted + 256);
    const got = lib.proc_listpids(type, 0, buffer, buffer.length);
    if (got <= 0) return { why: errnoName(lib.errno()) };
    if (got >= buffer.length && again < mostTries) continue;
    const pids: number[] = [];
    for (let at = 0; at + 4 <= Math.min(got, buffer.length); at += 4) {
      const pid = buffer.readInt32LE(at);
      if (pid > 0) pids.push(pid);
    }
    return pids;
  }
}

export function isRefused(answer: object): answer is Refused {
  return !Array.isArray(answer) && 'why' in answer && typeof answer.why === 'string';
}
