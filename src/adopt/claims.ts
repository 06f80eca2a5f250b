/**
 * Which process of a generation serves on a held socket: all of them have it, and without hold the kernel would refuse the second one.
 *
 * A claim is a name in Linux's abstract namespace: the kernel gives it to one socket, and takes it back when that process ends.
 */
import type { Passed } from '../hold/wire/passed.ts';
import { os } from '../os/index.ts';
import type { Handle } from './bindings.ts';
import { takeName } from './handles.ts';
import { addressInUse } from './probe.ts';

export interface Claim {
  release(): void;
}

/** A name that a process of ours gave up between two looks is tried again; one of another user is left to him. */
const attempts = 3;
/** What a name takes of the control socket's, which is the hold's own; all of a name has 107 bytes (unix(7)). */
const longestPart = 24;

export class Claims {
  readonly #passed: Passed;
  /** Who serves in this thread, by the identity of the socket. */
  readonly #own = new Map<string, number>();
  /** All that served once. */
  readonly #ever = new Set<string>();

  constructor(passed: Passed) {
    this.#passed = passed;
  }

  /** True when a server of this thread has the socket. */
  has(identity: string): boolean {
    return this.#own.has(identity);
  }

  /** True when a server of this thread had the socket once, or has it. */
  had(identity: string): boolean {
    return this.#ever.has(identity);
  }

  /** Null when somebody else of this generation has it. A shared claim is for sockets that several may have, and excludes nobody. */
  claim(identity: string, shared: boolean): Claim | null {
    if (!shared && this.#own.has(identity)) return null;
    // A shared one takes the name where it is free, so that others see that somebody serves.
    const name = this.#passed.control === '' ? undefined : this.#name(identity);
    if (name === null && !shared) return null;
    this.#own.set(identity, (this.#own.get(identity) ?? 0) + 1);
    this.#ever.add(identity);
    return {
      release: () => {
        name?.close();
        const left = (this.#own.get(identity) ?? 1) - 1;
        if (left === 0) this.#own.delete(identity);
        else this.#own.set(identity, left);
      },
    };
  }

  /** True when any process of the generation has it. */
  isTaken(identity: string): boolean {
    return isOurs(this.#path(identity));
  }

  #path(identity: string): string {
    const { pid, control, generation } = this.#passed;
    return `\0rebind-claim/${pid}/${control.slice(-longestPart)}/${generation}/${identity}`;
  }

  /** The handle that has the name, null when another process of ours has it, undefined when it cannot be told. */
  #name(identity: string): Handle | null | undefined {
    const path = this.#path(identity);
    for (let attempt = 0; attempt < attempts; attempt++) {
      const made = takeName(path);
      if (typeof made !== 'number') {
        made?.unref();
        return made ?? undefined;
      }
      if (made !== addressInUse) return undefined;
      if (isOurs(path)) return null;
      // Who had it is gone meanwhile, or it is another user's.
    }
    return undefined;
  }
}

/** Anybody can take an abstract name; only one that our own user has counts. */
function isOurs(path: string): boolean {
  const uid = process.getuid?.();
  const options = { reuseAddress: false, reusePort: false, v6Only: false, device: null };
  // Node 20 fills an abstract name up with NUL bytes.
  return [path, path.padEnd(108, '\0')].some((one) => {
    const { sockets } = os().readFacts({ endpoint: { protocol: 'unix', path: one }, options }, { holders: 'none' });
    return sockets.some((socket) => socket.protocol === 'unix' && socket.uid === uid);
  });
}
