/**
 * The handshake between two programs that both use rebind: the old one hands its listening socket to the new one over a Unix socket
 * (SCM_RIGHTS). For systems where the new one may not simply take it (Yama, containers without CAP_SYS_PTRACE, processes that cannot be dumped).
 *
 * The door is in the directory of this user's channels, and opens to this user and root only: both sides ask the kernel who the other one is.
 */
import type { Server } from 'node:net';
import type { Channel, Listener } from '../os/channels.ts';
import { isNativeError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import { openDescriptor } from './descriptor.ts';
import { type Program, thisProgram } from './program.ts';

/** How long a visit may take, whatever the other side sends meanwhile. */
const patienceMs = 2_000;
/** Visits at the same time; a successor makes one. */
const mostVisitors = 8;

/** What the new program gets. The caller owns the descriptor. */
export interface Offered {
  readonly descriptor: number;
  readonly pid: number;
  readonly program: Program;
}

/**
 * Offers the socket of a server that listens to successors of the same user, until the server is closed. Holds no process alive.
 * Where the door cannot be opened there is no handshake, which costs nothing but the handshake.
 */
export async function offer(os: Os, server: Server, address: string, port: number): Promise<void> {
  let visitors = 0;
  let door: Listener;
  try {
    door = await os.channels.listen(`door-${process.pid}-${random()}`, {
      admit: ({ uid }) => (uid === process.geteuid?.() || uid === 0) && visitors < mostVisitors,
      onChannel: (channel) => {
        visitors++;
        channel.socket.once('close', () => visitors--);
        receiveVisitor(os, server, channel);
      },
    });
    door.publish(nameOf(os, address, port), true);
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
    return;
  }
  if (server.listening) server.once('close', () => door.close());
  else door.close();
}

function receiveVisitor(os: Os, server: Server, { socket: visitor }: Channel): void {
  const timer = setTimeout(() => visitor.destroy(), patienceMs).unref();
  visitor.once('close', () => clearTimeout(timer));
  visitor.once('data', () => {
    const to = openDescriptor(visitor);
    const socket = openDescriptor(server);
    try {
      if (to !== null && socket !== null)
        os.sockets.sendDescriptors(to, [socket], Buffer.from(JSON.stringify(thisProgram())));
      visitor.end();
    } catch {
      // It is gone already, or takes nothing: its loss.
      visitor.destroy();
    }
  });
  visitor.resume();
}

/** Asks the process that offers this endpoint for its socket; null when no process of our user does, or it does not answer. */
export async function askForSocket(
  os: Os,
  address: string,
  port: number,
  signal?: AbortSignal,
): Promise<Offered | null> {
  const uid = process.geteuid?.() ?? 0;
  for (const path of os.channels.find(nameOf(os, address, port), uid)) {
    const offered = await askAt(os, path.startsWith('@') ? `\0${path.slice(1)}` : path, uid, signal);
    if (offered !== null) return offered;
  }
  return null;
}

async function askAt(os: Os, path: string, uid: number, signal?: AbortSignal): Promise<Offered | null> {
  const fd = os.sockets.open('unix', 4);
  try {
    if (os.sockets.connect(fd, { protocol: 'unix', path }) === 'pending') return null;
    const peer = os.sockets.peer(fd);
    if (peer.uid !== uid) return null;
    os.sockets.sendDescriptors(fd, [], Buffer.from('?'));
    const result = await os.events.wait({ descriptors: [fd], timeoutMs: patienceMs, ...(signal && { signal }) });
    if (result.kind === 'timeout') return null;
    const answer = os.sockets.receiveDescriptors(fd);
    const [descriptor, ...more] = answer?.descriptors ?? [];
    for (const extra of more) os.sockets.close(extra);
    if (answer === null || descriptor === undefined) return null;
    return { descriptor, pid: peer.pid, program: readProgram(answer.data.toString('utf8')) };
  } catch (error) {
    // No process listens there, or it went away meanwhile.
    if (
      isNativeError(error) &&
      ['ECONNREFUSED', 'ENOENT', 'EACCES', 'EPIPE', 'ECONNRESET', 'EAGAIN'].includes(error.code)
    )
      return null;
    throw error;
  } finally {
    os.sockets.close(fd);
  }
}

function nameOf(os: Os, address: string, port: number): string {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const what = createHash('sha256').update(`${os.channels.network()} ${address} ${port}`).digest('hex');
  return `offer-${what.slice(0, 32)}`;
}

function random(): string {
  return process.getBuiltinModule('node:crypto').randomBytes(8).toString('hex');
}

/** What a program says it is. @internal Exported for the fuzz test. */
export function readProgram(text: string): Program {
  try {
    const value: unknown = JSON.parse(text);
    const { executable, script } = (value ?? {}) as Record<string, unknown>;
    return {
      executable: typeof executable === 'string' ? executable : null,
      script: typeof script === 'string' ? script : null,
    };
  } catch {
    // Not ours: a program that cannot be told apart is not the same one.
    return { executable: null, script: null };
  }
}
