/** The leased ports that stand for the fixed ones of this program. Hold decides, once for all processes of the command. */
import type { Passed } from '../hold/wire/passed.ts';
import { leasedPort } from './ask-for-socket.ts';

export class Leases {
  readonly #passed: Passed;
  /** Held ports by those that they stand for. */
  readonly #known = new Map<number, number>();

  constructor(passed: Passed) {
    this.#passed = passed;
  }

  /** The port to listen on in place of this one. */
  portFor(port: number): number {
    if (!this.#passed.lease || port === 0) return port;
    const known = this.#known.get(port);
    if (known !== undefined) return known;
    const leased = this.#ask(port);
    this.#known.set(port, leased);
    return leased;
  }

  #ask(port: number): number {
    try {
      return leasedPort(this.#passed, port) ?? port;
    } catch {
      // Hold cannot be reached: the program keeps its port, as without a lease.
      return port;
    }
  }
}
