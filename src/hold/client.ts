/**
 * Asks a running hold from another process. Every answer comes within a stated time: a hold that is stopped, busy or gone is a sentence.
 */
import { statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { addressesOf } from '../ask/request.ts';
import { isWildcard } from '../model/address.ts';
import { type Endpoint, formatEndpoint, type ParsedEndpoint } from '../model/endpoint.ts';
import type { Peer } from '../os/channels.ts';
import { os } from '../os/index.ts';
import { controlNameOf, holdPrefix } from './control.ts';
import { restartResult, statusAnswer, stopResult } from './control-answers.ts';
import type { RestartResult } from './settings.ts';
import type { HoldStatus } from './status.ts';
import { type Ask, heardMessage, line, readLines } from './wire/messages.ts';
import type { Shape } from './wire/shape.ts';

/** How long a hold may take until it says that it has heard a question. */
const heardWithinMs = 5_000;
/** A status tells about 50 runs at most, each with a sentence. */
const mostAnswer = 4_194_304;

/** What came of a question. `none`: no hold of this user has the endpoint. `silent`: one has, and `why` it gave no answer. */
export type Reply<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'none' }
  | { readonly kind: 'silent'; readonly why: string };

/** A control socket, and the user whose hold must be behind it. */
interface Address {
  readonly path: string;
  readonly uid: number;
}

/**
 * The status of the hold of an endpoint. A hold answers its own user and root.
 *
 * @example
 * ```ts
 * const status = await holdStatus(parseEndpoint('3000'));
 * ```
 */
export function holdStatus(endpoint: ParsedEndpoint): Promise<Reply<HoldStatus>> {
  return ask(endpoint, { kind: 'status' }, statusAnswer);
}

/** Restarts the command of the hold of an endpoint, and waits for the outcome. */
export function holdRestart(endpoint: ParsedEndpoint): Promise<Reply<RestartResult>> {
  return ask(endpoint, { kind: 'restart' }, restartResult);
}

/** Stops the hold of an endpoint as SIGTERM does, and waits until its command has ended. */
export function holdStop(endpoint: ParsedEndpoint): Promise<Reply<{ readonly stopped: boolean }>> {
  return ask(endpoint, { kind: 'stop' }, stopResult);
}

/** All holds of this user that answer, and a sentence for each that does not. */
export async function allHolds(): Promise<{
  readonly holds: readonly HoldStatus[];
  readonly silent: readonly string[];
}> {
  const own = process.geteuid?.() ?? 0;
  const replies = await Promise.all(addressesOfAll([own]).map((one) => askAt(one, { kind: 'status' }, statusAnswer)));
  return {
    holds: replies.flatMap((reply) => (reply.kind === 'answer' ? [reply.answer] : [])),
    silent: replies.flatMap((reply) => (reply.kind === 'silent' || reply.kind === 'squatted' ? [reply.why] : [])),
  };
}

async function ask<Answer>(parsed: ParsedEndpoint, question: Ask, shape: Shape<Answer>): Promise<Reply<Answer>> {
  const wanted = await endpointsOf(parsed);
  let silent: Reply<Answer> | null = null;
  let squatted: Reply<Answer> | null = null;
  for (const { endpoint, uid } of wanted) {
    for (const path of os().channels.find(controlNameOf(endpoint), uid)) {
      const reply = await askAt({ path, uid }, question, shape);
      if (reply.kind === 'answer') return reply;
      if (reply.kind === 'silent') silent ??= reply;
      if (reply.kind === 'squatted') squatted ??= { kind: 'silent', why: reply.why };
    }
  }
  if (silent !== null) return silent;
  // A squatted name does not hide the hold behind it.
  const unpublished = await askUnpublished(wanted, question, shape);
  return unpublished ?? (await meetEarlier(wanted)) ?? squatted ?? { kind: 'none' };
}

/** A hold whose name could not be made, or was removed: all are asked what they hold. */
async function askUnpublished<Answer>(
  wanted: readonly Wanted[],
  question: Ask,
  shape: Shape<Answer>,
): Promise<Reply<Answer> | null> {
  const names = new Set(wanted.map(({ endpoint }) => formatEndpoint(endpoint)));
  // All at once: one that does not answer would hold off the others.
  const asked = addressesOfAll(wanted.map(({ uid }) => uid)).map(async (address) => {
    const status = await askAt(address, { kind: 'status' }, statusAnswer);
    const has = status.kind === 'answer' && status.answer.endpoints.some(({ endpoint }) => names.has(endpoint));
    return has ? address : null;
  });
  const [found] = (await Promise.all(asked)).filter((address) => address !== null);
  if (found === undefined) return null;
  const reply = await askAt(found, question, shape);
  return reply.kind === 'squatted' ? { kind: 'silent', why: reply.why } : reply;
}

/** A hold of an earlier version has an abstract name, and another protocol. */
async function meetEarlier(wanted: readonly Wanted[]): Promise<Reply<never> | null> {
  // sizeof(sun_path): Node 20 filled abstract names up with NUL bytes (unix(7)).
  const longest = 108;
  for (const { endpoint, uid } of wanted) {
    const where = formatEndpoint(endpoint);
    const name = `@rebind-hold/${uid}/${where}`;
    for (const path of [name, name.padEnd(longest, '\0')]) {
      const connected = await os().channels.connect(path);
      if (typeof connected === 'string') continue;
      connected.socket.destroy();
      const { pid, uid: owner } = connected.peer;
      if (owner !== uid) continue;
      return {
        kind: 'silent',
        why: `Process ${pid} is a hold of an earlier version of rebind and has ${where}: "kill -HUP ${pid}" restarts its command, "kill ${pid}" stops it`,
      };
    }
  }
  return null;
}

interface Wanted {
  readonly endpoint: Endpoint;
  readonly uid: number;
}

/**
 * What the hold may have published: the exact address of whatever has that port, under our own user. A hold answers no other user but root,
 * who also looks under the user of the socket.
 */
async function endpointsOf(parsed: ParsedEndpoint): Promise<Wanted[]> {
  const own = process.geteuid?.() ?? 0;
  const found = new Map<string, Wanted>();
  const add = (endpoint: Endpoint, owner = own): void => {
    for (const uid of own === 0 ? [own, owner] : [own])
      found.set(`${uid} ${formatEndpoint(endpoint)}`, { endpoint, uid });
  };
  const typed = await addressesOf(parsed);
  for (const endpoint of typed) add(endpoint);
  if (parsed.protocol === 'unix') {
    add(parsed, statSync(parsed.path, { throwIfNoEntry: false })?.uid);
    return [...found.values()];
  }
  for (const { protocol, local, uid } of os().readInventory().sockets) {
    const endpoint: Endpoint = { protocol, ...local };
    const isMeant = parsed.host === null || typed.some((one) => formatEndpoint(one) === formatEndpoint(endpoint));
    if (protocol === parsed.protocol && local.port === parsed.port && (isMeant || isWildcard(local.address)))
      add(endpoint, uid);
  }
  return [...found.values()];
}

function addressesOfAll(uids: readonly number[]): Address[] {
  return [...new Set(uids)].flatMap((uid) =>
    os()
      .channels.list(holdPrefix, uid)
      .map((path) => ({ path, uid })),
  );
}

/** `squatted`: a process of another user listens there. */
type ReplyAt<Answer> = Reply<Answer> | { readonly kind: 'squatted'; readonly why: string };

async function askAt<Answer>({ path, uid }: Address, question: Ask, shape: Shape<Answer>): Promise<ReplyAt<Answer>> {
  const connected = await os().channels.connect(path);
  if (connected === 'busy')
    return { kind: 'silent', why: `The hold at ${path} accepts no connections: it is stopped or busy` };
  if (typeof connected === 'string') return { kind: 'none' };
  if (connected.peer.uid !== uid) {
    connected.socket.destroy();
    return {
      kind: 'squatted',
      why: `Process ${connected.peer.pid} of uid ${connected.peer.uid} listens at ${path}, and is no hold of uid ${uid}`,
    };
  }
  return talk(connected.socket, connected.peer, question, shape);
}

/** What it answers, or a sentence when it does not in time, ends, or does not speak this protocol. */
function talk<Answer>(socket: Socket, peer: Peer, question: Ask, shape: Shape<Answer>): Promise<Reply<Answer>> {
  const hold = `The hold (process ${peer.pid})`;
  return new Promise((resolve) => {
    let wasHeard = false;
    let timer: NodeJS.Timeout;
    const end = (reply: Reply<Answer>): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reply);
    };
    const silent = (why: string): void => end({ kind: 'silent', why: `${hold} ${why}` });
    const within = (ms: number, what: string): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const hint = os().channels.isStopped(peer.pid)
          ? `: it is stopped, and "kill -CONT ${peer.pid}" lets it go on`
          : '';
        silent(`${what} within ${Math.round(ms / 1000)} s${hint}`);
      }, ms);
    };
    const read = readLines((value) => {
      const heard = wasHeard ? undefined : heardMessage(value);
      if (heard !== undefined) {
        wasHeard = true;
        // A status is only looked up: what claims to need longer is no hold of ours.
        within(
          question.kind === 'status' ? Math.min(heard.withinMs, heardWithinMs) : heard.withinMs,
          'was asked, and did not finish',
        );
        return true;
      }
      const answer = shape(value);
      if (answer !== undefined) end({ kind: 'answer', answer });
      return answer !== undefined;
    }, mostAnswer);
    within(heardWithinMs, 'did not answer');
    socket.setEncoding('utf8');
    socket.on('data', (chunk: Buffer | string) => {
      if (read(String(chunk)) === null) silent('answered something that this version of rebind does not know');
    });
    socket.on('error', () => silent('broke the connection off before it answered'));
    socket.on('close', () => {
      // What was asked to stop, said that it does, and is gone now has done so.
      const gone = wasHeard && question.kind === 'stop' ? shape({ stopped: true }) : undefined;
      if (gone === undefined) silent('exited before it answered');
      else end({ kind: 'answer', answer: gone });
    });
    socket.write(line(question));
  });
}
