/**
 * Asks a running hold from another process.
 */
import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { addressesOf } from '../ask/request.ts';
import { isWildcard } from '../model/address.ts';
import { type Endpoint, formatEndpoint, type ParsedEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import { openDescriptor } from '../server/descriptor.ts';
import { isHoldStatus, isRestartResult } from './answer.ts';
import { controlNameOf } from './control.ts';
import type { RestartResult } from './settings.ts';
import type { HoldStatus } from './status.ts';
import { type Ask, line, readLines } from './wire/messages.ts';
import { controlPath } from './wire/passed.ts';

/** Status is answered at once; a restart takes as long as the program's own start. */
const statusWithinMs = 5_000;

/**
 * The status of the hold of an endpoint, or null when no hold of this user (for root: of any user) has it.
 *
 * @example
 * ```ts
 * const status = await holdStatus(parseEndpoint('3000'));
 * ```
 */
export function holdStatus(endpoint: ParsedEndpoint): Promise<HoldStatus | null> {
  return ask(endpoint, { kind: 'status' }, isHoldStatus, statusWithinMs);
}

/** Restarts the command of the hold of an endpoint, and waits for the outcome. Null when no hold has it. */
export function holdRestart(endpoint: ParsedEndpoint): Promise<RestartResult | null> {
  return ask(endpoint, { kind: 'restart' }, isRestartResult, null);
}

async function ask<Answer>(
  parsed: ParsedEndpoint,
  question: Ask,
  isAnswer: (value: unknown) => value is Answer,
  withinMs: number | null,
): Promise<Answer | null> {
  for (const [name, uid] of await namesOf(parsed)) {
    const socket = await open(name);
    if (socket === null) continue;
    if (peerOf(socket) === uid) {
      const answer = await talk(socket, question, withinMs);
      if (isAnswer(answer)) return answer;
    }
    socket.destroy();
  }
  return null;
}

/**
 * Where the hold may be found, and the user that each name is of: the exact address of whatever has that port, under our
 * own user. A hold answers nobody else but root, who also looks under the user of the socket.
 */
async function namesOf(parsed: ParsedEndpoint): Promise<Map<string, number>> {
  const own = process.getuid?.() ?? 0;
  const names = new Map<string, number>();
  const add = (endpoint: Endpoint, owner = own): void => {
    for (const uid of own === 0 ? [own, owner] : [own]) names.set(controlNameOf(endpoint, uid), uid);
  };
  const typed = await addressesOf(parsed);
  for (const endpoint of typed) add(endpoint);
  if (parsed.protocol === 'unix') {
    add(parsed, statSync(parsed.path, { throwIfNoEntry: false })?.uid);
    return names;
  }
  for (const { protocol, local, uid } of os().readInventory().sockets) {
    const endpoint: Endpoint = { protocol, ...local };
    const isMeant = parsed.host === null || typed.some((one) => formatEndpoint(one) === formatEndpoint(endpoint));
    if (protocol === parsed.protocol && local.port === parsed.port && (isMeant || isWildcard(local.address)))
      add(endpoint, uid);
  }
  return names;
}

function open(name: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(controlPath(name));
    socket.once('connect', () => resolve(socket));
    // Nobody has that name: no hold there.
    socket.once('error', () => resolve(null));
  });
}

/** Anybody may take a name of the abstract namespace, so who listens there is asked (SO_PEERCRED). */
function peerOf(socket: Socket): number | null {
  const fd = openDescriptor(socket);
  return fd === null ? null : os().sockets.peer(fd).uid;
}

/** What it answers; null when it ends, or does not speak this protocol. */
function talk(socket: Socket, question: Ask, withinMs: number | null): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const end = (answer: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const late = (): void => {
      socket.destroy();
      reject(new Error('Hold did not answer in time'));
    };
    const timer = withinMs === null ? undefined : setTimeout(late, withinMs);
    const read = readLines(end);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: Buffer | string) => {
      if (!read(String(chunk))) end(null);
    });
    socket.on('error', () => end(null));
    socket.on('close', () => end(null));
    socket.write(line(question));
  });
}
