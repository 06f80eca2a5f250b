/**
 * Listens for any server that Node made, with the options that Node cannot set, and with an answer when the port is blocked.
 *
 * What Node can do itself goes through Node and costs nothing; only an option beyond that, or a blocked port, loads the native part.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import { BlockedPortError } from '../errors.ts';
import { isNativeError } from '../os/errors.ts';
import { isServer } from './arguments.ts';
import { chooseWay } from './attempt.ts';
import type { UnsetOption } from './bind-options.ts';
import { listenInstead, listenLater, listenNext, reportOf, warnUnexplained } from './busy.ts';
import { close } from './close.ts';
import { connectionsOf, followUpgrades } from './connections.ts';
import { isListening, type ListenTarget, type Plan, readPlan } from './listen-plan.ts';
import type { Predecessor } from './take-over.ts';

/** Servers whose `listen` is under way. */
const under = new WeakSet<object>();

/** A server that listens. Disposing of it closes the server as `close` does. */
export interface Listening extends AsyncDisposable {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  /** The real address; of a Unix socket the path. */
  readonly address: string;
  /** The real port; of a Unix socket 0. */
  readonly port: number;
  /** The options that were asked for and that the socket does not have. */
  readonly unset: readonly UnsetOption[];
  /** With `take-over`: who had the port before, or null when it was free. */
  readonly predecessor: Predecessor | null;
}

/**
 * Listens, and resolves with the real address. The server emits 'listening' as always; close it with `close`, or with its own methods.
 *
 * @throws {BlockedPortError} when the port is blocked: Node's own fields, and why, by whom, and what would help.
 * @throws {TypeError} when it is not a server, listens already, or an option has the wrong type. @throws {RangeError} when a value is out of range.
 * @throws {UnsupportedError} when a required option cannot be set here. @throws {NativeError} when the kernel refuses an option.
 * @example
 * ```ts
 * const server = http.createServer(app);
 * const { port } = await listen(server, { port: 3000, busy: 'next', keepAlive: true });
 * ```
 */
export async function listen(server: Server | UdpSocket, target: ListenTarget): Promise<Listening> {
  const plan = readPlan(server, target);
  if (under.has(server) || isListening(server)) {
    throw Object.assign(
      new TypeError('This server listens already, or is about to: close it first, or make another one'),
      {
        code: 'ERR_SERVER_ALREADY_LISTEN',
      },
    );
  }
  const { signal, busy = 'fail' } = plan.options;
  signal?.throwIfAborted();
  under.add(server);
  try {
    // From the first connection on, so that close() knows them all.
    if (isServer(server)) {
      connectionsOf(server);
      followUpgrades(server);
    }
    const { attempt, unset } = await chooseWay(plan);
    let predecessor: Predecessor | null = null;
    if (busy === 'next') await listenNext(plan, attempt);
    else if (busy === 'wait') await listenLater(plan, attempt);
    else if (busy === 'take-over') predecessor = await listenInstead(plan, attempt);
    else await attempt(plan.options.port ?? 0);
    if (signal !== undefined) closeOnAbort(plan, signal);
    return listening(plan, unset, predecessor);
  } catch (error) {
    const explained = await explain(plan, error);
    // As with Node's own listen; here somebody has the promise too, so that nobody must listen.
    if (server.listenerCount('error') > 0) server.emit('error', explained);
    throw explained;
  } finally {
    under.delete(server);
  }
}

/** An error of the bind with its cause, everything else as it is. */
async function explain(plan: Plan, error: unknown): Promise<unknown> {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof BlockedPortError || !['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(code ?? ''))
    return error;
  // EACCES of an option has nothing to do with the port.
  if (isNativeError(error) && error.syscall === 'setsockopt') return error;
  try {
    const report = await reportOf(plan);
    return report === null ? error : new BlockedPortError(report, { cause: error });
  } catch (failure) {
    warnUnexplained(error, failure);
    return error;
  }
}

function closeOnAbort({ server }: Plan, signal: AbortSignal): void {
  const abort = (): void => {
    if (isListening(server)) server.close();
  };
  signal.addEventListener('abort', abort, { once: true });
  server.once('close', () => signal.removeEventListener('abort', abort));
}

function listening(
  { server, protocol }: Plan,
  unset: readonly UnsetOption[],
  predecessor: Predecessor | null,
): Listening {
  const address = server.address();
  const [text, port] =
    address === null || typeof address === 'string' ? [address ?? '', 0] : [address.address, address.port];
  return {
    protocol,
    address: text,
    port,
    unset,
    predecessor,
    [Symbol.asyncDispose]: async () => {
      await close(server);
    },
  };
}
