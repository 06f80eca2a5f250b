import type { PassedSocket } from '../hold/wire/passed.ts';

/** What this process listens on without hold: hold may have taken a copy, and then a second bind fails. */
export interface Reported {
  readonly identity: string;
  readonly address: string;
  readonly port: number;
  readonly asked: { readonly host: string; readonly port: number };
  isOpen: boolean;
}

/** A program that listens on one port after the other is not remembered for ever. */
const mostReported = 64;

export class Reports {
  readonly #list: Reported[] = [];

  add(reported: Reported): void {
    this.#list.push(reported);
    if (this.#list.length > mostReported) this.#list.shift();
  }

  get someAreOpen(): boolean {
    return this.#list.some(({ isOpen }) => isOpen);
  }

  /** What this process listened on before, and listens on no more. */
  get closed(): PassedSocket[] {
    return this.#list
      .filter(({ isOpen }) => !isOpen)
      .map(({ address, port, identity, asked }) => {
        const endpoint = { protocol: 'tcp', address, port } as const;
        return { endpoint, identity, explicit: true, asked, v6Only: false, fileIdentity: null };
      });
  }

  /** The one of them that was bound, or asked for, like this. */
  find(host: string, port: number): PassedSocket | null {
    const found = this.#list.find(
      (one) =>
        !one.isOpen &&
        ((one.address === host && one.port === port) || (one.asked.host === host && one.asked.port === port)),
    );
    return this.closed.find(({ identity }) => identity === found?.identity) ?? null;
  }

  forget(identity: string): void {
    const at = this.#list.findIndex((one) => one.identity === identity);
    if (at >= 0) this.#list.splice(at, 1);
  }
}
