/**
 * The names by which other terminals find a hold: one for each endpoint.
 */
import { formatEndpoint } from '../model/endpoint.ts';
import type { Control } from './control.ts';
import type { HeldSocket } from './held-socket.ts';

export class Published {
  readonly #control: Control;
  readonly #onNote: (sentence: string) => void;
  /** Those whose name the former holder still has. */
  readonly #later: HeldSocket[] = [];

  constructor(control: Control, onNote: (sentence: string) => void) {
    this.#control = control;
    this.#onNote = onNote;
  }

  /** @param mayWait True when the former holder of the socket is going to end, and may be the one that has the name. */
  async add(socket: HeldSocket, mayWait = false): Promise<void> {
    if (await this.#control.addEndpoint(socket.endpoint)) return;
    if (mayWait) this.#later.push(socket);
    else this.#onNote(`Another process has the name that --status ${formatEndpoint(socket.endpoint)} looks for`);
  }

  /** The former holder has ended, or never will. */
  async addLater(): Promise<void> {
    for (const socket of this.#later.splice(0)) await this.add(socket);
  }
}
