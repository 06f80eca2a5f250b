/**
 * Structures of the kernel as tables: each field with its place, each structure with its size, of the release that runs. A structure
 * whose size is another one is not read: a guess would be a lie.
 */

import { UnsupportedError } from '../errors.ts';

/** `n`: network order, the others as the processor has them: little-endian on both. A number is so many bytes. */
type Kind = 'u8' | 'u16' | 'i16' | 'u16n' | 'u32' | 'i32' | 'u64' | number;
type Value<K extends Kind> = K extends 'u64' ? bigint : K extends number ? Buffer : number;

export type Fields = Readonly<Record<string, readonly [at: number, kind: Kind]>>;

/** The values of a structure's fields. */
export type Read<F extends Fields> = { readonly [name in keyof F]: Value<F[name][1]> };

/** A structure as it is in one release. */
export interface Layout<F extends Fields> {
  readonly name: string;
  /** The header that it is from. */
  readonly source: string;
  readonly size: number;
  readonly fields: F;
  /** @throws {LayoutError} when the bytes end before it does. */
  read(bytes: Buffer, at?: number): Read<F>;
}

/** A structure in every release that is known. */
export interface Structure<F extends Fields> {
  readonly name: string;
  readonly source: string;
  /** From which major version of Darwin on it has which size. */
  readonly sizes: readonly (readonly [darwin: number, size: number])[];
  readonly fields: F;
  of(darwin: number): Layout<F>;
}

/** What the kernel gave has another size than the structure has in the releases that are known. */
export class LayoutError extends UnsupportedError {}

/**
 * @param sizes From which major version of Darwin on it has which size, the oldest first: fields are only ever appended.
 */
export function structure<const F extends Fields>(
  name: string,
  source: string,
  sizes: Structure<F>['sizes'],
  fields: F,
): Structure<F> {
  const entries = Object.entries(fields);
  for (const [, size] of sizes) {
    const last = Math.max(...entries.map(([, [at, kind]]) => at + sizeOf(kind)));
    // Fields that came later are read only where they are.
    if (sizes.length === 1 && last > size) throw new LayoutError(`${name} ends at ${size}, a field of it at ${last}`);
  }
  const known = new Map<number, Layout<F>>();
  return {
    name,
    source,
    sizes,
    fields,
    of(darwin) {
      const size = sizes.findLast(([from]) => darwin >= from)?.[1] ?? sizes[0]?.[1] ?? 0;
      let layout = known.get(size);
      if (layout === undefined) {
        layout = { name, source, size, fields, read: (bytes, at = 0) => readAll(name, size, entries, bytes, at) };
        known.set(size, layout);
      }
      return layout;
    },
  };
}

function readAll<F extends Fields>(
  name: string,
  size: number,
  entries: readonly (readonly [string, readonly [number, Kind]])[],
  bytes: Buffer,
  start: number,
): Read<F> {
  if (start < 0 || start + size > bytes.length)
    throw new LayoutError(`${name} has ${size} bytes, and ${Math.max(0, bytes.length - start)} were given`);
  const values: Record<string, number | bigint | Buffer> = {};
  for (const [field, [at, kind]] of entries) {
    // A field of a later release.
    values[field] = at + sizeOf(kind) > size ? missing(kind) : valueAt(bytes, start + at, kind);
  }
  return values as Read<F>;
}

function missing(kind: Kind): number | bigint | Buffer {
  if (typeof kind === 'number') return Buffer.alloc(0);
  return kind === 'u64' ? 0n : 0;
}

function sizeOf(kind: Kind): number {
  if (typeof kind === 'number') return kind;
  return { u8: 1, u16: 2, i16: 2, u16n: 2, u32: 4, i32: 4, u64: 8 }[kind];
}

function valueAt(bytes: Buffer, at: number, kind: Kind): number | bigint | Buffer {
  switch (kind) {
    case 'u8':
      return bytes.readUInt8(at);
    case 'u16':
      return bytes.readUInt16LE(at);
    case 'i16':
      return bytes.readInt16LE(at);
    case 'u16n':
      return bytes.readUInt16BE(at);
    case 'u32':
      return bytes.readUInt32LE(at);
    case 'i32':
      return bytes.readInt32LE(at);
    case 'u64':
      return bytes.readBigUInt64LE(at);
    default:
      return bytes.subarray(at, at + kind);
  }
}

/** Text that a NUL byte ends. */
export function textIn(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
