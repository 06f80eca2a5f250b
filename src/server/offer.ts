/**
 * The handshake between two programs that both use rebind: the old one hands its listening socket to the new one over a Unix socket
 * (SCM_RIGHTS). For systems where the new one may not simply take it (Yama, containers without CAP_SYS_PTRACE, processes that cannot be dumped).
 *
 * The name lies in Linux's abstract namespace: it is the network namespace's own, as ports are, and leaves no file behind.
 * Anybody may connect, so both sides ask the kernel who the other one is (SO_PEERCRED), and serve only their own user.
 */
import net, { type Server } from 'node:net';
import { isNativeError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import { openDescriptor } from './descriptor.ts';
import { type Program, thisProgram } from './program.ts';

/** How long the other side may take for an answer. */
const patienceMs = 2000;

/** What the new program gets. The caller owns the descriptor. */
export interface Offered {
  readonly descriptor: number;
  readonly pid: number;
  readonly program: Program;
}

/** Offers the socket of a server that listens to successors of the same user, until the server is closed. Holds no process alive. */
export function offer(os: Os, server: Server, address: string, port: number): void {
  const door = net.createServer((visitor) => {
    visitor.on('error', () => visitor.destroy());
    visitor.setTimeout(patienceMs, () => visitor.destroy());
    visitor.once('data', () => {
      const to = openDescriptor(visitor);
      const socket = openDescriptor(server);
      if (to !== null && socket !== null && os.sockets.peer(to).uid === process.getuid?.()) {
        os.sockets.sendDescriptors(to, [socket], Buffer.from(JSON.stringify(thisProgram())));
      }
      visitor.end();
    });
    visitor.unref();
  });
  // Somebody else may have the name; then there is no handshake, which costs nothing but the handshake.
  door.on('error', () => {});
  door.listen(nameOf(address, port));
  door.unref();
  server.once('close', () => door.close());
}

/** Asks whoever offers this endpoint for its socket; null when nobody of our user does, or it does not answer. */
export async function askForSocket(
  os: Os,
  address: string,
  port: number,
  signal?: AbortSignal,
): Promise<Offered | null> {
  const name = nameOf(address, port);
  // Node 20 fills the rest of the name with NUL bytes, and in this namespace they are part of it.
  return (await askAt(os, name, signal)) ?? (await askAt(os, name.padEnd(longestName, '\0'), signal));
}

/** The size of sun_path (unix(7)). */
const longestName = 108;

async function askAt(os: Os, path: string, signal?: AbortSignal): Promise<Offered | null> {
  const fd = os.sockets.open('unix', 4);
  try {
    if (os.sockets.connect(fd, { protocol: 'unix', path }) === 'pending') return null;
    const peer = os.sockets.peer(fd);
    if (peer.uid !== process.getuid?.()) return null;
    os.sockets.sendDescriptors(fd, [], Buffer.from('?'));
    const result = await os.events.wait({ descriptors: [fd], timeoutMs: patienceMs, ...(signal && { signal }) });
    if (result.kind === 'timeout') return null;
    const answer = os.sockets.receiveDescriptors(fd);
    const [descriptor, ...more] = answer?.descriptors ?? [];
    for (const extra of more) os.sockets.close(extra);
    if (answer === null || descriptor === undefined) return null;
    return { descriptor, pid: peer.pid, program: readProgram(answer.data) };
  } catch (error) {
    // Nobody listens there, or it went away meanwhile.
    if (isNativeError(error) && ['ECONNREFUSED', 'ENOENT', 'EPIPE', 'ECONNRESET', 'EAGAIN'].includes(error.code))
      return null;
    throw error;
  } finally {
    os.sockets.close(fd);
  }
}

function nameOf(address: string, port: number): string {
  return `\0rebind/take-over/${process.getuid?.()}/${address}/${port}`;
}

function readProgram(data: Buffer): Program {
  try {
    const { executable, script } = JSON.parse(data.toString('utf8')) as Record<string, unknown>;
    return {
      executable: typeof executable === 'string' ? executable : null,
      script: typeof script === 'string' ? script : null,
    };
  } catch {
    // Not ours: a program that cannot be told apart is not the same one.
    return { executable: null, script: null };
  }
}
