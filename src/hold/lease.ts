/** Which port of the command a lease stands for: one decision for everything that the command starts. */
import type { Endpoint } from '../model/endpoint.ts';
import { isSidePort } from '../model/lease-ports.ts';
import type { HoldEvents } from './settings.ts';

export class Lease {
  readonly #isOn: boolean;
  readonly #tell: (event: HoldEvents['leased'][0]) => void;
  /** The first fixed port that was asked for. */
  #asked: number | null = null;

  constructor(isOn: boolean, tell: (event: HoldEvents['leased'][0]) => void) {
    this.#isOn = isOn;
    this.#tell = tell;
  }

  /** The held port, if it stands for the asked one; else null. */
  portFor(asked: number, held: Endpoint | undefined): number | null {
    if (!this.#isOn || held?.protocol !== 'tcp' || asked === held.port || asked === 0 || isSidePort(asked)) return null;
    if (this.#asked === null) {
      this.#asked = asked;
      this.#tell({ asked, port: held.port });
    }
    return asked === this.#asked ? held.port : null;
  }
}
