/**
 * The sockets that are held change while programs run: one is learned from a program, or a bare port becomes the address that a program asks for.
 */
import { formatEndpoint } from '../model/endpoint.ts';
import type { AgentConnection } from './control.ts';
import type { Generation } from './generation.ts';
import type { HeldSocket } from './held-socket.ts';
import type { HeldSockets, NarrowAddress } from './held-sockets.ts';
import type { HoldEvents } from './settings.ts';

interface Parts {
  readonly sockets: HeldSockets;
  /** Those that are there, by number. */
  readonly generations: ReadonlyMap<number, Generation>;
  /** A socket is held from now on. */
  added(socket: HeldSocket): void;
  learned(event: HoldEvents['learned'][0]): void;
  note(sentence: string): void;
}

export class SocketChanges {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Holds what a program listens on. @param isMain A failure is reported. */
  learn(message: Parameters<HeldSockets['learn']>[0], agent: AgentConnection, isMain: boolean): void {
    const { sockets, added, learned, note } = this.#parts;
    if (sockets.has(message.identity)) return;
    const socket = sockets.learn(message, agent);
    if (typeof socket !== 'string') {
      learned({ endpoint: socket.endpoint });
      added(socket);
    } else if (isMain) {
      const where = formatEndpoint(message.endpoint);
      note(`Cannot learn ${where} from process ${agent.pid} (${socket}): name the endpoint`);
    }
  }

  /** The socket that a program asks for. @param mayNarrow No generation has served yet. */
  async give(identity: string, address: NarrowAddress, mayNarrow: boolean): ReturnType<HeldSockets['give']> {
    const { sockets, generations, added, note } = this.#parts;
    const given = await sockets.give(identity, address, mayNarrow);
    if (given.narrowed !== null) {
      for (const generation of generations.values()) generation.replaceSocket(identity, given.narrowed);
      added(given.narrowed);
      const where = formatEndpoint(given.narrowed.endpoint);
      note(`The program asked for ${address.host}, so ${where} is what is held`);
    }
    return given;
  }
}
