/**
 * Asks a running hold from another process.
 */
import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Endpoint, formatEndpoint, isWildcard, type ParsedEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import { openDescriptor } from '../server/descriptor.ts';
import { controlNameOf } from './control.ts';
import { controlPath } from './passed.ts';
import { type Ask, line, readLines } from './protocol.ts';
import type { RestartResult } from './settings.ts';
import { addressesOf } from './socket.ts';
import type { HoldStatus } from './status.ts';

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
export async function holdStatus(endpoint: ParsedEndpoint): Promise<HoldStatus | null> {
  return (await ask(endpoint, { kind: 'status' }, statusWithinMs)) as HoldStatus | null;
}

/** Restarts the command of the hold of an endpoint, and waits for the outcome. Null when no hold has it. */
export async function holdRestart(endpoint: ParsedEndpoint): Promise<RestartResult | null> {
  return (await ask(endpoint, { kind: 'restart' }, null)) as RestartResult | null;
}

async function ask(parsed: ParsedEndpoint, question: Ask, withinMs: number | null): Promise<object | null> {
  for (const name of await namesOf(parsed)) {
    const socket = await open(name);
    if (socket === null) continue;
    if (isTrusted(socket)) return talk(socket, question, withinMs);
    socket.destroy();
  }
  return null;
}

/** Where the hold may be found: under our own user, and under the user and the exact address of whatever has that port. */
async function namesOf(parsed: ParsedEndpoint): Promise<Set<string>> {
  const own = process.getuid?.() ?? 0;
  const typed = await addressesOf(parsed);
  const names = new Set(typed.map((endpoint) => controlNameOf(endpoint, own)));
  if (parsed.protocol === 'unix') {
    const file = statSync(parsed.path, { throwIfNoEntry: false });
    if (file !== undefined) names.add(controlNameOf(parsed, file.uid));
    return names;
  }
  for (const { protocol, local, uid } of os().readInventory().sockets) {
    const endpoint: Endpoint = { protocol, ...local };
    const isMeant = parsed.host === null || typed.some((one) => formatEndpoint(one) === formatEndpoint(endpoint));
    if (protocol === parsed.protocol && local.port === parsed.port && (isMeant || isWildcard(local.address)))
      names.add(controlNameOf(endpoint, uid));
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

/** Anybody may take a name of the abstract namespace, so who answers is asked (SO_PEERCRED). */
function isTrusted(socket: Socket): boolean {
  const fd = openDescriptor(socket);
  if (fd === null) return false;
  const { uid } = os().sockets.peer(fd);
  const own = process.getuid?.();
  return own === 0 || uid === 0 || uid === own;
}

function talk(socket: Socket, question: Ask, withinMs: number | null): Promise<object> {
  return new Promise((resolve, reject) => {
    const timer =
      withinMs === null ? undefined : setTimeout(() => end(new Error('Hold did not answer in time')), withinMs);
    const end = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const read = readLines((answer) => {
      clearTimeout(timer);
      socket.end();
      resolve(answer as object);
    });
    socket.setEncoding('utf8');
    socket.on('data', (chunk: Buffer | string) => {
      if (!read(String(chunk))) end(new Error('What answered is not hold'));
    });
    socket.on('error', end);
    socket.on('close', () => end(new Error('Hold ended before it answered')));
    socket.write(line(question));
  });
}
