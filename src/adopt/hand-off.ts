/**
 * Moves idle keep-alive connections from the program that ends to the one that replaces it: opt-in, and for plain HTTP/1.1.
 *
 * Between two requests nothing about a connection is known but its descriptor. So the old program sends that over a datagram socket of
 * the new one (SCM_RIGHTS), which reads on from there. What a client sends meanwhile waits in the kernel, and nobody loses it.
 */
import { unlinkSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { controlPath } from '../hold/wire/passed.ts';
import { isNativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import { openDescriptor } from '../server/descriptor.ts';

/** True for a server of node:http: below TLS and HTTP/2 there is state that only the old program has. */
export function mayMove(server: Server): boolean {
  return 'headersTimeout' in server && !('setSecureContext' in server);
}

/** The receiving end, in the new program. */
export interface Receiver {
  /** The path that the old program sends to. */
  readonly name: string;
  /** Takes in what was sent already, and no more. */
  close(): void;
}

/** Takes connections in for a server from now on. Holds no process alive. Null where this user has no directory that keeps others away. */
export function receive(server: Server, token: string): Receiver | null {
  const { sockets, events, channels } = os();
  const name = channels.privatePath(
    `hand-off-${process.pid}-${process.getBuiltinModule('node:crypto').randomBytes(8).toString('hex')}`,
  );
  if (name === null) return null;
  const fd = sockets.open('unix-datagram', 4);
  sockets.bind(fd, { protocol: 'unix', path: name });
  const stop = new AbortController();
  /** A connection that did not fit (no descriptor was left) is lost; the program goes on. */
  const next = (): ReturnType<typeof sockets.receiveDescriptors> => {
    for (;;) {
      try {
        return sockets.receiveDescriptors(fd);
      } catch (error) {
        if (!isNativeError(error)) throw error;
        if (error.code !== 'EMSGSIZE') return null;
      }
    }
  };
  const takeAll = (): void => {
    for (let got = next(); got !== null && got.data.length > 0; ) {
      const [connection, ...more] = got.descriptors;
      for (const extra of more) sockets.close(extra);
      // Other users cannot reach the directory; of our own, who was started by the same hold knows the token.
      if (connection !== undefined && got.data.toString() === token) takeIn(server, connection);
      else if (connection !== undefined) sockets.close(connection);
      got = next();
    }
  };
  const watch = async (): Promise<void> => {
    const what = { descriptors: [fd], timeoutMs: null, signal: stop.signal, background: true } as const;
    try {
      for (;;) {
        await events.wait(what);
        takeAll();
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  };
  void watch();
  return {
    name,
    close() {
      if (stop.signal.aborted) return;
      stop.abort();
      // First nobody can send any more, then what came is taken: nothing is left in between.
      removeFile(name);
      sockets.shutdown(fd);
      takeAll();
      sockets.close(fd);
    },
  };
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Removed with its directory: it leads nowhere either way.
  }
}

/** A connection as if it had just been accepted, which node:http allows (the event 'connection' of http.Server). */
function takeIn(server: Server, fd: number): void {
  const socket = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  // As after an accept, so that the server's own close waits for it.
  const counted = server as unknown as { _connections: number };
  counted._connections++;
  Object.assign(socket, { server, _server: server });
  server.emit('connection', socket);
  closeIfSilent(server, socket);
}

/** Node's keep-alive timeout begins after an answer, which the other program gave: so it is counted here, once. */
function closeIfSilent(server: Server, socket: Socket): void {
  const { keepAliveTimeout, headersTimeout } = server as unknown as {
    keepAliveTimeout: number;
    headersTimeout: number;
  };
  // After headersTimeout Node would answer 408, which a client takes for the answer to its next request.
  const limits = [keepAliveTimeout, headersTimeout - 1000].filter((ms) => ms > 0);
  if (limits.length === 0) return;
  const timer = setTimeout(
    () => {
      if (socket.bytesRead === 0) socket.end();
    },
    Math.min(...limits),
  );
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** `later`: the other program has not taken the last ones yet. `never`: it takes no more. */
export type Moved = 'moved' | 'later' | 'never';

/** The sending end, in the old program. */
export interface Sender {
  /** Moves a connection that is idle; it is closed here and open there. */
  send(connection: Socket): Moved;
  close(): void;
}

/** The way to a receiver, or null when it is gone. */
export function sendTo(name: string, token: string): Sender | null {
  const { sockets } = os();
  const fd = sockets.open('unix-datagram', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path: controlPath(name) });
  } catch (error) {
    sockets.close(fd);
    if (isNativeError(error)) return null;
    throw error;
  }
  return {
    send(connection) {
      const descriptor = openDescriptor(connection);
      if (descriptor === null) return 'later';
      try {
        sockets.sendDescriptors(fd, [descriptor], Buffer.from(token));
      } catch (error) {
        if (!isNativeError(error)) throw error;
        // EAGAIN: its queue is full (net.unix.max_dgram_qlen). ETOOMANYREFS: too many are on their way (unix(7)).
        return error.code === 'EAGAIN' || error.code === 'ETOOMANYREFS' ? 'later' : 'never';
      }
      // The kernel counts the descriptor that is on its way, so this close sends nothing to the client.
      connection.destroy();
      return 'moved';
    },
    close: () => sockets.close(fd),
  };
}
