/**
 * A system call that failed, and a platform that lacks something. They live in os/ because os/ throws them;
 * src/errors.ts exports them.
 */
import { getSystemErrorMap } from 'node:util';

const brand = Symbol.for('rebind.error');

/**
 * A system call that should have worked did not. Has the shape of Node's own errors: `code`, `errno` (negative), `syscall`.
 *
 * @example
 * ```ts
 * try {
 *   getOption(server, 'SO_TYPE');
 * } catch (error) {
 *   if (error instanceof NativeError) console.error(error.syscall, error.code); // getsockopt EBADF
 * }
 * ```
 */
export class NativeError extends Error {
  override readonly name = 'NativeError';
  /** The errno name, such as `EADDRINUSE`. */
  readonly code: string;
  /** The negative errno, as in Node's own errors. */
  readonly errno: number;
  /** The call that failed, such as `bind`. */
  readonly syscall: string;

  /** @param errno The positive errno of the call. */
  constructor(syscall: string, errno: number, detail?: string) {
    const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
    super(`${syscall} ${code}: ${text}${detail === undefined ? '' : `, ${detail}`}`);
    this.syscall = syscall;
    this.code = code;
    this.errno = -errno;
    Object.defineProperty(this, brand, { value: 'NativeError' });
  }
}

/**
 * This platform, or this machine, cannot do it; the message says what is missing. Its `code` is always `ERR_REBIND_UNSUPPORTED`.
 *
 * @example
 * ```ts
 * const report = await why(3000).catch((error) => {
 *   if (error instanceof UnsupportedError) return null;
 *   throw error;
 * });
 * ```
 */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
  readonly code = 'ERR_REBIND_UNSUPPORTED';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    Object.defineProperty(this, brand, { value: 'UnsupportedError' });
  }
}

/**
 * Works across copies of the package and across realms, which instanceof does not.
 *
 * @example
 * ```ts
 * if (isNativeError(error)) console.error(error.code); // 'EPERM'
 * ```
 */
export function isNativeError(value: unknown): value is NativeError {
  return branded(value, 'NativeError');
}

/**
 * Works across copies of the package and across realms, which instanceof does not.
 *
 * @example
 * ```ts
 * if (isUnsupportedError(error)) console.error('Not on this machine:', error.message);
 * ```
 */
export function isUnsupportedError(value: unknown): value is UnsupportedError {
  return branded(value, 'UnsupportedError');
}

/** A system call failed, ours or one of Node's: a fault of the machine, not of this code. */
export function isSystemError(value: unknown): value is Error & { readonly code: string; readonly syscall: string } {
  if (isNativeError(value)) return true;
  const { code, syscall } = value instanceof Error ? (value as NodeJS.ErrnoException) : {};
  return typeof code === 'string' && typeof syscall === 'string';
}

function branded(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === name;
}
