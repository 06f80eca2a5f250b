/**
 * Asks hold for a socket over its control socket, and waits for it. For processes that the descriptors did not reach
 * (a wrapper dropped them), or that want another address than the one that was passed.
 *
 * It blocks: listen() must know its socket when it returns, as address() is often called on the next line.
 */

import { type AgentMessage, giveAnswer, line } from '../hold/wire/messages.ts';
import { controlPath, type Passed, type PassedSocket } from '../hold/wire/passed.ts';
import { isNativeError, NativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import { inheritedReference } from './inherited.ts';

/** Hold answers from its event loop, at once; this ends the wait when it is stopped or gone. */
const answerWithinMs = 5_000;

/** What hold answers: the descriptor comes with it, or a sentence says why not. */
export type Given =
  | { readonly socket: PassedSocket; readonly fd: number }
  | { readonly socket: null; readonly why: string };

/** Tells hold something at once, from a process that is about to end. @throws {NativeError} when hold cannot be reached. */
export function sayNow(passed: Passed, message: AgentMessage): void {
  const { sockets } = os();
  const connection = sockets.open('unix', 4);
  try {
    reach(connection, passed);
    sockets.sendDescriptors(connection, [], Buffer.from(line(message)));
  } finally {
    sockets.close(connection);
  }
}

/** @throws {NativeError} when hold cannot be reached at all. @throws {UnsupportedError} without koffi. */
export function fetchSocket(passed: Passed, identity: string, host: string | null, v6Only: boolean): Given {
  if (passed.control === '') return { socket: null, why: 'the service manager passed it once' };
  const { sockets } = os();
  const connection = sockets.open('unix', 4);
  try {
    reach(connection, passed);
    const ask: AgentMessage = { kind: 'give', token: passed.token, identity, host, v6Only };
    sockets.sendDescriptors(connection, [], Buffer.from(line(ask)));
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const until = performance.now() + answerWithinMs;
    while (performance.now() < until) {
      const answer = sockets.receiveDescriptors(connection);
      if (answer === null) {
        Atomics.wait(pause, 0, 0, 1);
        continue;
      }
      if (answer.data.length === 0) return { socket: null, why: 'hold closed the connection' };
      return readAnswer(answer.data, answer.descriptors, sockets.close);
    }
    return { socket: null, why: `hold did not answer within ${answerWithinMs} ms` };
  } finally {
    sockets.close(connection);
  }
}

/** By name, or, for a process that changed its user and may not search hold's directory, through the descriptor that it inherited. */
function reach(connection: number, { control, reference }: Passed): void {
  const { sockets } = os();
  try {
    sockets.connect(connection, { protocol: 'unix', path: controlPath(control) });
  } catch (error) {
    if (!isNativeError(error)) throw error;
    const inherited = reference === null ? null : inheritedReference(reference);
    if (inherited === null && ['EACCES', 'EPERM'].includes(error.code))
      throw new NativeError(
        error.syscall,
        -error.errno,
        'this process is of another user than hold, and a wrapper such as sudo closed the descriptor that leads to hold',
      );
    if (inherited === null) throw error;
    sockets.connect(connection, { protocol: 'unix', path: inherited });
  }
}

function readAnswer(data: Buffer, descriptors: readonly number[], close: (fd: number) => void): Given {
  const [fd, ...extra] = descriptors;
  for (const other of extra) close(other);
  const answer = readJson(data.toString('utf8'));
  if (answer === undefined || 'why' in answer) {
    if (fd !== undefined) close(fd);
    return { socket: null, why: answer?.why ?? 'hold answered something that this version does not know' };
  }
  if (fd === undefined) return { socket: null, why: 'no descriptor came with the answer' };
  return { socket: answer.socket, fd };
}

function readJson(text: string): ReturnType<typeof giveAnswer> {
  try {
    return giveAnswer(JSON.parse(text));
  } catch {
    // No JSON.
    return undefined;
  }
}
