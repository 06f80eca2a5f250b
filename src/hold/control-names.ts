/**
 * The names by which other terminals find a hold: one for each endpoint.
 */
import { formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import type { Control } from './control.ts';
import type { HeldSocket } from './held-socket.ts';

export class ControlNames {
  readonly #control: Control;
  readonly #onNote: (sentence: string) => void;
  /** Those whose name the former holder still has. */
  readonly #later: HeldSocket[] = [];

  constructor(control: Control, onNote: (sentence: string) => void) {
    this.#control = control;
    this.#onNote = onNote;
    for (const sentence of os().channels.place().notes) onNote(sentence);
  }

  /** @param mayWait True when the former holder of the socket is going to end, and may be the hold that has the name. */
  add(socket: HeldSocket, mayWait = false): void {
    const where = formatEndpoint(socket.endpoint);
    try {
      if (this.#control.addEndpoint(socket.endpoint)) return;
      if (mayWait) this.#later.push(socket);
      else this.#onNote(`Another hold has the name that "rebind hold --status ${where}" looks for`);
    } catch (error) {
      // A full or read-only file system: the socket is held all the same.
      const why = error instanceof Error ? error.message : String(error);
      this.#onNote(`"rebind hold --status ${where}" will not find this hold: ${why}`);
    }
  }

  /** The former holder has ended, or never will. */
  addLater(): void {
    for (const socket of this.#later.splice(0)) this.add(socket);
  }
}
