/**
 * Socket options by their names, on whatever Node made. Node itself offers four of them, and none by descriptor.
 */
import { createRequire } from 'node:module';
import { show } from '../check.ts';
import { demand } from '../os/capabilities.ts';
import { isNativeError, NativeError } from '../os/errors.ts';
import {
  decodeValue,
  encodeValue,
  isOptionName,
  type OptionName,
  type OptionValue,
  optionAccess,
  optionNames,
} from '../os/options.ts';
import type { Os } from '../os/os.ts';
import { descriptor, type HasDescriptor } from './descriptor.ts';

// The first option loads what makes system calls; a program that only imports the library does not pay for it.
const load = createRequire(import.meta.url);
const os = (): Os => (load('../os/index.js') as typeof import('../os/index.ts')).os();

/**
 * What a socket's option is now, with its unit in the name: `{ ms: 5000 }`, `{ bytes: 65536 }`.
 *
 * @throws {TypeError} when the option is not known, cannot be read, or there is no descriptor.
 * @throws {NativeError} when the kernel refuses: ENOPROTOOPT when this socket has no such option.
 * @throws {UnsupportedError} on a platform other than Linux, or without koffi.
 * @example
 * ```ts
 * getOption(socket, 'TCP_INFO').roundTripUs; // 48
 * getOption(socket, 'SO_LINGER'); // null
 * ```
 */
export function getOption<Name extends OptionName>(of: HasDescriptor, option: Name): OptionValue<Name> {
  checkName(option);
  if (optionAccess(option) === 'write') throw new TypeError(`${option} can only be set`);
  const bytes = call(option, () => os().sockets.getOption(descriptor(of), option));
  return decodeValue(option, bytes) as OptionValue<Name>;
}

/**
 * Sets a socket's option. What decides about a bind (`SO_REUSEADDR`, `IPV6_V6ONLY`, …) must be set before it: see `listen`'s `beforeBind`.
 *
 * @throws {TypeError} when the option is not known, can only be read, takes another type of value, or there is no descriptor.
 * @throws {RangeError} when the value is out of range.
 * @throws {NativeError} when the kernel refuses: EPERM without the privilege, ENOPROTOOPT when this socket has no such option.
 * @throws {UnsupportedError} on a platform other than Linux, or without koffi.
 * @example
 * ```ts
 * server.on('connection', (socket) => setOption(socket, 'TCP_USER_TIMEOUT', { ms: 20_000 }));
 * ```
 */
export function setOption<Name extends OptionName>(of: HasDescriptor, option: Name, value: OptionValue<Name>): void {
  checkName(option);
  if (optionAccess(option) === 'read') throw new TypeError(`${option} can only be read`);
  const bytes = encodeValue(option, value);
  call(option, () => os().sockets.setOption(descriptor(of), option, bytes));
}

function checkName(option: string): void {
  if (!isOptionName(option))
    throw new TypeError(`${show(option)} is not an option that rebind knows. It knows ${optionNames.join(', ')}`);
  demand(os(), 'socketOptions');
}

/** Says which option the kernel refused. */
function call<Result>(option: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (isNativeError(error)) throw new NativeError(error.syscall, -error.errno, option);
    throw error;
  }
}
