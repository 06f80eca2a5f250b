/**
 * Asks hold for a socket over its control socket, and waits for it. For processes that the descriptors did not reach
 * (a wrapper dropped them), or that want another address than the one that was passed.
 *
 * It blocks: listen() must know its socket when it returns, as address() is often called on the next line.
 */

import { type AgentMessage, giveAnswer, leaseAnswer, line, servedAnswer } from '../hold/wire/messages.ts';
import { controlPath, type Passed, type PassedSocket } from '../hold/wire/passed.ts';
import type { Shape } from '../hold/wire/shape.ts';
import { isNativeError, NativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import { identityOf, inheritedReference } from './inherited.ts';

/** Hold answers from its event loop, at once; this ends the wait when it is stopped or gone. */
const answerWithinMs = 5_000;
/** Where the answer only decides whether a client is refused. */
const servedWithinMs = 1_000;

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
  return given(ask(passed, { kind: 'give', token: passed.token, identity, host, v6Only }, answerWithinMs));
}

/** The socket that hold learned from an earlier process of the run. */
export function findLearned(passed: Passed, host: string, port: number): Given {
  const { token, generation } = passed;
  try {
    const found = given(ask(passed, { kind: 'find', token, generation, host, port }, answerWithinMs));
    if (found.socket === null || identityOf(found.fd) === found.socket.identity) return found;
    os().sockets.close(found.fd);
    return { socket: null, why: 'hold sent another socket than it said' };
  } catch (error) {
    // Hold cannot be reached, or koffi is missing: Node binds, and the kernel says what is wrong.
    return { socket: null, why: error instanceof Error ? error.message : String(error) };
  }
}

/** The held port that stands for a fixed one that the program asks for; null when it keeps its own, or when hold does not say. */
export function leasedPort(passed: Passed, port: number): number | null {
  const { token, generation } = passed;
  const answer = ask(passed, { kind: 'lease', token, generation, port }, answerWithinMs);
  if ('why' in answer) return null;
  for (const fd of answer.descriptors) os().sockets.close(fd);
  return readJson(answer.data.toString('utf8'), leaseAnswer)?.port ?? null;
}

/** True when another process of the generation serves on the socket, or when hold does not say. @throws {NativeError} when hold cannot be reached. */
export function isServed(passed: Passed, identity: string): boolean {
  const { token, generation } = passed;
  const answer = ask(passed, { kind: 'served', token, generation, identity }, servedWithinMs);
  if ('why' in answer) return true;
  for (const fd of answer.descriptors) os().sockets.close(fd);
  return readJson(answer.data.toString('utf8'), servedAnswer)?.served ?? true;
}

type Answer = { readonly data: Buffer; readonly descriptors: readonly number[] } | { readonly why: string };

function ask(passed: Passed, question: AgentMessage, withinMs: number): Answer {
  const { sockets } = os();
  const connection = sockets.open('unix', 4);
  try {
    reach(connection, passed);
    sockets.sendDescriptors(connection, [], Buffer.from(line(question)));
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const until = performance.now() + withinMs;
    while (performance.now() < until) {
      const answer = sockets.receiveDescriptors(connection);
      if (answer === null) {
        Atomics.wait(pause, 0, 0, 1);
        continue;
      }
      return answer.data.length === 0 ? { why: 'hold closed the connection' } : answer;
    }
    return { why: `hold did not answer within ${withinMs} ms` };
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

function given(received: Answer): Given {
  if ('why' in received) return { socket: null, why: received.why };
  const { close } = os().sockets;
  const [fd, ...extra] = received.descriptors;
  for (const other of extra) close(other);
  const answer = readJson(received.data.toString('utf8'), giveAnswer);
  if (answer === undefined || 'why' in answer) {
    if (fd !== undefined) close(fd);
    return { socket: null, why: answer?.why ?? 'hold answered something that this version does not know' };
  }
  if (fd === undefined) return { socket: null, why: 'no descriptor came with the answer' };
  return { socket: answer.socket, fd };
}

function readJson<T>(text: string, shape: Shape<T>): T | undefined {
  try {
    return shape(JSON.parse(text));
  } catch {
    // No JSON.
    return undefined;
  }
}
