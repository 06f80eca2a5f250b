/**
 * The options of this system's sockets, by name. Their numbers stay below os/; loads nothing native, so that a value can be checked
 * before anything is opened.
 */
import { optionsTable } from './linux/options.ts';
import { encodeOption } from './option-codec.ts';

/** The name of an option that `getOption` and `setOption` know. */
export type OptionName = keyof typeof optionsTable;

export type { OptionValue } from './linux/options.ts';
export type { TcpInfo } from './linux/tcp-info.ts';

/** @internal Every name, in the order of the table. */
export const optionNames = Object.keys(optionsTable) as readonly OptionName[];

/** @internal */
export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(optionsTable, name);
}

/** @internal `read` options are answered by the system and cannot be set. */
export function optionAccess(name: OptionName): 'read' | 'write' | 'both' {
  return optionsTable[name].access;
}

/** @internal A value as the system stores it. @param called What its caller calls it. @throws {TypeError} {RangeError} with what would be right. */
export function encodeValue(name: OptionName, value: unknown, called: string = name): Buffer {
  return encodeOption(called, optionsTable[name].codec, value);
}

/** @internal What the system stores as a value with its unit. */
export function decodeValue(name: OptionName, bytes: Buffer): unknown {
  return optionsTable[name].codec.decode(bytes);
}
