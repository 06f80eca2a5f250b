/**
 * Talking to a manager over its own socket: only when the kernel says that the process has it open, and that its user is who we expect.
 */
import type { Socket as Connection } from 'node:net';
import type { Os } from '../../os/os.ts';

/** More than any list of programs. */
const mostBytes = 16 * 1024 * 1024;

export interface Talk {
  readonly os: Os;
  readonly path: string;
  /** Whose socket it must be. */
  readonly uid: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends a request and hands over what comes back until `take` has its answer. Rejects with a sentence where there is none, and with the
 * signal's reason when it is aborted.
 *
 * @param take Given all bytes so far, and whether these are all: its answer, or null when it needs more.
 */
export async function talk<Answer>(
  { os, path, uid, timeoutMs, signal }: Talk,
  request: Buffer,
  take: (bytes: Buffer, isAll: boolean) => Answer | null,
): Promise<Answer> {
  signal?.throwIfAborted();
  const fd = connectTo(os, path, uid);
  const { Socket } = process.getBuiltinModule('node:net');
  const connection: Connection = new Socket({ fd });
  return new Promise<Answer>((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const end = (finish: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      connection.destroy();
      finish();
    };
    const abort = (): void => end(() => reject(signal?.reason));
    const timer = setTimeout(
      () => end(() => reject(new Error(`it did not answer within ${timeoutMs / 1000} s`))),
      timeoutMs,
    );
    signal?.addEventListener('abort', abort, { once: true });
    const read = (isAll: boolean): void => {
      try {
        const answer = take(Buffer.concat(parts), isAll);
        if (answer !== null) end(() => resolve(answer));
        else if (isAll) end(() => reject(new Error('it did not answer')));
      } catch (error) {
        end(() => reject(error));
      }
    };
    connection.on('error', (error) => end(() => reject(error)));
    connection.on('data', (part) => {
      parts.push(part);
      size += part.length;
      if (size > mostBytes) end(() => reject(new Error('its answer is too long')));
      else read(false);
    });
    connection.on('close', () => read(true));
    connection.write(request);
  });
}

/** A descriptor that is connected, after the kernel said whose the other end is (SO_PEERCRED in unix(7)): before that nothing is sent. */
function connectTo({ sockets }: Os, path: string, uid: number): number {
  const fd = sockets.open('unix', 4);
  try {
    if (sockets.connect(fd, { protocol: 'unix', path }) === 'done') {
      const peer = sockets.peer(fd);
      if (peer.uid === uid) return fd;
      throw new Error(`its socket belongs to user ${peer.uid}`);
    }
    throw new Error('it does not take connections now');
  } catch (error) {
    sockets.close(fd);
    throw error;
  }
}
