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
import { isListening, type ListenOptions, type ListenTarget, type Plan, readPlan } from './listen-plan.ts';
import { alreadyListens, beginListen, isClosedError, type Pending } from './pending.ts';
import type { Predecessor } from './take-over.ts';
import { publishState } from './telemetry.ts';

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
 * `close`, or the server's own `close()`, wins while this is under way: then the server does not listen, and this rejects with the code
 * ERR_SERVER_NOT_RUNNING.
 *
 * @throws {BlockedPortError} when the port is blocked: Node's own fields, and why, by whom, and what would help.
 * @throws {TypeError} when it is not a server, listens already, or an option has the wrong type. @throws {RangeError} when a value is out of range.
 *   Both have the codes that Node gives to them, such as ERR_SOCKET_BAD_PORT.
 * @throws {UnsupportedError} when a required option cannot be set here. @throws {NativeError} when the kernel refuses an option.
 * @example
 * ```ts
 * const server = http.createServer(app);
 * const { port } = await listen(server, { port: 3000, busy: 'next', keepAlive: true });
 * ```
 */
export async function listen(server: Server | UdpSocket, target?: ListenTarget): Promise<Listening> {
  const pending = beginListen(server);
  try {
    return await listenAs(pending, server, target);
  } finally {
    pending?.end();
  }
}

/** @internal @param pending Null when another `listen` of this server is under way. The caller ends it. */
export async function listenAs(
  pending: Pending | null,
  server: Server | UdpSocket,
  target?: ListenTarget,
): Promise<Listening> {
  const asked = readPlan(server, target);
  await pending?.earlier;
  if (pending === null || isListening(server)) throw alreadyListens();
  const { signal } = asked.options;
  const plan: Plan = { ...asked, options: { ...asked.options, signal: pending.signal } };
  if (signal !== undefined) closeOnAbort(plan, signal, pending);
  try {
    const result = await listenPlanned(plan);
    pending.signal.throwIfAborted();
    return result;
  } catch (error) {
    const explained = pending.signal.aborted ? error : await explain(plan, error);
    // Node emits 'close' alone.
    if (pending.signal.aborted) throw pending.signal.reason;
    // As with Node's own listen; here somebody has the promise too, so that nobody must listen.
    if (server.listenerCount('error') > 0 && !isClosedError(explained)) server.emit('error', explained);
    throw explained;
  }
}

async function listenPlanned(plan: Plan): Promise<Listening> {
  const { server, options } = plan;
  const { busy = 'fail', signal } = options;
  signal?.throwIfAborted();
  // From the first connection on, so that close() knows them all.
  if (isServer(server)) {
    connectionsOf(server);
    followUpgrades(server);
    setIdleTimeout(server, options.idleTimeoutMs);
  }
  const { attempt, unset } = await chooseWay(plan);
  signal?.throwIfAborted();
  let predecessor: Predecessor | null = null;
  if (busy === 'next') await listenNext(plan, attempt);
  else if (busy === 'wait') await listenLater(plan, attempt);
  else if (busy === 'take-over') predecessor = await listenInstead(plan, attempt);
  else await attempt(options.port ?? 0);
  publishState(server, 'listening');
  return listening(plan, unset, predecessor);
}

/** nginx keeps an idle upstream connection for 60 s, as AWS's load balancer does; nobody else's default is longer and below 75. */
const behindProxyMs = 75_000;

function setIdleTimeout(
  server: Server & { keepAliveTimeout?: number },
  idleTimeoutMs: ListenOptions['idleTimeoutMs'],
): void {
  if (idleTimeoutMs !== undefined)
    server.keepAliveTimeout = idleTimeoutMs === 'behind-proxy' ? behindProxyMs : idleTimeoutMs;
}

/** An error of the bind with its cause, everything else as it is. */
async function explain(plan: Plan, error: unknown): Promise<unknown> {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof BlockedPortError || !['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(code ?? ''))
    return error;
  if (plan.options.fd !== undefined) return error;
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

/** As Node: the server is closed, now or later. */
function closeOnAbort({ server }: Plan, signal: AbortSignal, pending: Pending): void {
  const abort = (): void => {
    pending.cancel(signal.reason);
    server.close();
  };
  if (signal.aborted) abort();
  else {
    signal.addEventListener('abort', abort, { once: true });
    server.once('close', () => signal.removeEventListener('abort', abort));
  }
}

function listening(
  { server, protocol: asked }: Plan,
  unset: readonly UnsetOption[],
  predecessor: Predecessor | null,
): Listening {
  const address = server.address();
  const [text, port] =
    address === null || typeof address === 'string' ? [address ?? '', 0] : [address.address, address.port];
  return {
    // What a descriptor is, only its address tells.
    protocol: asked === 'tcp' && typeof address === 'string' ? 'unix' : asked,
    address: text,
    port,
    unset,
    predecessor,
    [Symbol.asyncDispose]: async () => {
      await close(server);
    },
  };
}
