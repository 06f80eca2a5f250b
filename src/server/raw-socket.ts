/**
 * A socket made by ourselves: every option set between socket() and bind().
 */
import { isNativeError, NativeError } from '../os/errors.ts';
import { encodeValue } from '../os/options.ts';
import type { Os } from '../os/os.ts';
import { kernelOptions, type SocketOptions } from './bind-options.ts';

/**
 * A socket that has the options and is bound. The caller owns the descriptor.
 *
 * @throws {NativeError} of the step that failed, with `address` and `port` when it was the bind. Nothing is left open then.
 */
export function bindRaw(
  os: Os,
  protocol: 'tcp' | 'udp',
  address: string,
  port: number,
  options: SocketOptions,
): number {
  const family = address.includes(':') ? 6 : 4;
  const fd = os.sockets.open(protocol, family);
  try {
    for (const { option, name, value } of kernelOptions(options, family, protocol)) {
      try {
        os.sockets.setOption(fd, name, value);
      } catch (error) {
        if (isNativeError(error)) throw new NativeError('setsockopt', -error.errno, `${option} (${name})`);
        throw error;
      }
    }
    const later: unknown = options.beforeBind?.({ descriptor: fd, family });
    if (later instanceof Promise) {
      // It is too late for it by then, and nobody else would hear of its failure.
      later.catch(() => {});
      throw new TypeError('beforeBind must do its work before it returns: it may not be an async function');
    }
    os.sockets.bind(fd, { protocol, address, port });
    return fd;
  } catch (error) {
    os.sockets.close(fd);
    throw error;
  }
}

/** What a listener leaves behind has its flag as it is now: with SO_REUSEADDR it blocks no successor. @throws {NativeError} */
export function letSuccessorsIn(os: Os, fd: number): void {
  setReuseAddress(os, fd, true);
}

/** @throws {NativeError} */
export function setReuseAddress(os: Os, fd: number, on: boolean): void {
  os.sockets.setOption(fd, 'SO_REUSEADDR', encodeValue('SO_REUSEADDR', on));
}
