/**
 * What hold and the programs it runs tell each other over the control socket: one JSON document a line.
 */
import type { Endpoint } from '../../model/endpoint.ts';
import { endpointShape, type PassedSocket, passedSocketShape, socketIdentity } from './passed.ts';
import { boolean, byKind, either, fields, number, orNull, recordOf, type Shape, text, whole } from './shape.ts';

/** How connections ended when a program was asked to drain. */
export interface DrainCounts {
  /** Answered, and closed after the answer. */
  readonly finished: number;
  /** Idle, and closed after the linger. */
  readonly idle: number;
  /** Cut off because the grace was over. */
  readonly killed: number;
  /** Given to the next generation while idle. */
  readonly handedOff: number;
}

/** How hold answers `give`; the descriptor travels with the line. */
export type GiveAnswer = { readonly socket: PassedSocket } | { readonly why: string };

/** From a program to hold. */
export type AgentMessage =
  /** The first line. `thread` is 0 for the main thread. */
  | {
      readonly kind: 'hello';
      readonly token: string;
      readonly pid: number;
      readonly parent: number;
      readonly thread: number;
      readonly generation: number;
      readonly title: string;
    }
  /** A server listens on a held socket; `receiver` is where it takes idle connections of its predecessor, if it does. */
  | {
      readonly kind: 'listening';
      readonly identity: string;
      readonly note: string | null;
      readonly receiver: string | null;
    }
  /** The program said that it is ready. */
  | { readonly kind: 'ready' }
  /** A server listens on a port that is not held; `descriptor` is its number in that process. */
  | {
      readonly kind: 'unmanaged';
      readonly endpoint: Endpoint;
      /** What was passed to listen(): port 0 is another port each time. */
      readonly asked: { readonly host: string | null; readonly port: number };
      readonly descriptor: number;
      readonly identity: string;
    }
  /** An endpoint that is not held could not be bound. */
  | { readonly kind: 'blocked'; readonly endpoint: Endpoint; readonly code: string }
  /** The program is about to end because of this error. A connection of its own: there is no time for the other one. */
  | { readonly kind: 'failed'; readonly token: string; readonly generation: number; readonly message: string }
  /** It accepts no more. */
  | { readonly kind: 'stopped' }
  /** Every connection is over. */
  | { readonly kind: 'drained'; readonly counts: DrainCounts }
  /** It wants the socket over this connection: a wrapper dropped the descriptors, or another address is needed (see fetch.ts). */
  | {
      readonly kind: 'give';
      readonly token: string;
      readonly identity: string;
      readonly host: string | null;
      readonly v6Only: boolean;
    }
  /**
   * Did hold learn this endpoint from an earlier process of the run? The answer is that of `give`. A connection of its own; a process that a
   * wrapper started again asks so, as its environment was made before.
   */
  | {
      readonly kind: 'find';
      readonly token: string;
      readonly generation: number;
      readonly host: string;
      readonly port: number;
    }
  /** The program asks for a fixed port: is a lease to stand for it? A connection of its own, and the answer is `LeaseAnswer`. */
  | { readonly kind: 'lease'; readonly token: string; readonly generation: number; readonly port: number }
  /** Does any other process of the generation serve on this socket? A connection of its own, and the answer is `ServedAnswer`. */
  | { readonly kind: 'served'; readonly token: string; readonly generation: number; readonly identity: string };

/** How hold answers `served`. */
export interface ServedAnswer {
  readonly served: boolean;
}

/** How hold answers `lease`: the port that stands for the asked one, or null. */
export interface LeaseAnswer {
  readonly port: number | null;
}

/** From hold to a program. */
export type HoldMessage =
  /** It will be asked to stop in a moment: answers say `Connection: close` from now on, and it goes on accepting. */
  | { readonly kind: 'farewell'; readonly graceMs: number; readonly lingerMs: number }
  /** Accept no more, and answer `stopped`. */
  | { readonly kind: 'stop' }
  /** Let the open connections end, and answer `drained`. */
  | ({ readonly kind: 'drain' } & DrainOrder);

export interface DrainOrder {
  readonly graceMs: number;
  readonly lingerMs: number;
  /** Where idle connections may go on, by the identity of the held socket that they came from. */
  readonly receivers: Readonly<Record<string, string>>;
}

/** From another terminal to hold. */
export type Ask = { readonly kind: 'status' } | { readonly kind: 'restart' } | { readonly kind: 'stop' };

/** Hold's first line to another terminal, sent at once: it was heard, and the outcome comes within this time. */
export interface Heard {
  readonly heard: true;
  readonly withinMs: number;
}

/** What is cut off where it is sent, because a longer message would not be accepted: an error with its stack, a title. */
export const mostText = 16_384;
/** The length of one line to hold. JSON writes a character as six at most. */
const mostLine = 7 * mostText;
/** Milliseconds in a message. */
const milliseconds = number(0, 2 ** 31);
const count = whole(0, Number.MAX_SAFE_INTEGER);
const pid = whole(0, 2 ** 31 - 1);
const host = orNull(text(256));

/** Every message that a program may send. @internal Exported for the fuzz test. */
export const agentMessage: Shape<AgentMessage> = byKind<AgentMessage>({
  hello: fields({
    token: text(256),
    pid,
    parent: pid,
    thread: count,
    generation: count,
    title: text(mostText),
  }),
  listening: fields({ identity: socketIdentity, note: orNull(text(mostText)), receiver: orNull(text(4_096)) }),
  ready: fields({}),
  unmanaged: fields({
    endpoint: endpointShape,
    asked: fields({ host, port: whole(0, 65_535) }),
    descriptor: pid,
    identity: socketIdentity,
  }),
  blocked: fields({ endpoint: endpointShape, code: text(64) }),
  failed: fields({ token: text(256), generation: count, message: text(mostText) }),
  stopped: fields({}),
  drained: fields({ counts: fields<DrainCounts>({ finished: count, idle: count, killed: count, handedOff: count }) }),
  give: fields({ token: text(256), identity: socketIdentity, host, v6Only: boolean }),
  find: fields({ token: text(256), generation: count, host: text(256), port: whole(0, 65_535) }),
  lease: fields({ token: text(256), generation: count, port: whole(0, 65_535) }),
  served: fields({ token: text(256), generation: count, identity: socketIdentity }),
});

/** Every order that hold may send. */
export const holdMessage: Shape<HoldMessage> = byKind<HoldMessage>({
  farewell: fields({ graceMs: milliseconds, lingerMs: milliseconds }),
  stop: fields({}),
  drain: fields<DrainOrder>({
    graceMs: milliseconds,
    lingerMs: milliseconds,
    receivers: recordOf(socketIdentity, text(4_096), 1_024),
  }),
});

/** Every question of another terminal. */
export const askMessage: Shape<Ask> = byKind<Ask>({ status: fields({}), restart: fields({}), stop: fields({}) });

/** The answer to `give`. */
export const giveAnswer: Shape<GiveAnswer> = either(
  fields<{ socket: PassedSocket }>({ socket: passedSocketShape }),
  fields<{ why: string }>({ why: text(mostText) }),
);

/** The answer to `served`. */
export const servedAnswer: Shape<ServedAnswer> = fields<ServedAnswer>({ served: boolean });

/** The answer to `lease`. */
export const leaseAnswer: Shape<LeaseAnswer> = fields<LeaseAnswer>({ port: orNull(whole(0, 65_535)) });

export const heardMessage: Shape<Heard> = fields<Heard>({
  heard: (value) => (value === true ? true : undefined),
  withinMs: milliseconds,
});

/**
 * Splits text into JSON lines. The function it returns answers how many characters wait for the end of their line, and null when the other side
 * does not speak this protocol: a line that is longer than `limit` characters, is no JSON, or is refused by `onLine`.
 */
export function readLines(onLine: (value: unknown) => boolean, limit = mostLine): (chunk: string) => number | null {
  let rest = '';
  return (chunk) => {
    rest += chunk;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      if (end > limit) return null;
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      let value: unknown;
      try {
        value = JSON.parse(line);
      } catch {
        return null;
      }
      if (!onLine(value)) return null;
    }
    return rest.length <= limit ? rest.length : null;
  };
}

/** One line of the protocol. */
export function line(message: AgentMessage | HoldMessage | Ask | object): string {
  return `${JSON.stringify(message)}\n`;
}
