/**
 * A system call that failed, and a platform that lacks something. They live in os/ because os/ throws them;
 * src/errors.ts exports them.
 */
import { getSystemErrorMap } from 'node:util';

const brand = Symbol.for('rebind.error');

/** A system call that should have worked did not. */
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

/** This platform, or this machine, cannot do it. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
  readonly code = 'ERR_REBIND_UNSUPPORTED';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    Object.defineProperty(this, brand, { value: 'UnsupportedError' });
  }
}

/** Works across copies of the package and across realms, which instanceof does not. */
export function isNativeError(value: unknown): value is NativeError {
  return branded(value, 'NativeError');
}

export function isUnsupportedError(value: unknown): value is UnsupportedError {
  return branded(value, 'UnsupportedError');
}

function branded(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === name;
}
