/**
 * The one place where whatever fails in hold ends up: it is told, counted and shown by `--status`, and nothing else happens.
 * Who helps must not harm: a failure of ours never ends the command and never closes a socket.
 */
import { isSystemError } from '../os/errors.ts';

/** The same fault is told again after this time at the earliest. */
const tellAgainMs = 60_000;
/** Of different faults that are remembered; hold may run for years. */
const most = 20;

/** Something that failed in hold, and hold went on. */
export interface Fault {
  /** One sentence without a full stop. */
  readonly sentence: string;
  readonly times: number;
  /** ISO 8601. */
  readonly lastAt: string;
}

/** @internal */
export class Faults {
  readonly #tell: (sentence: string) => void;
  readonly #known = new Map<string, { times: number; lastAt: string; toldMs: number }>();

  constructor(tell: (sentence: string) => void) {
    this.#tell = tell;
  }

  get list(): readonly Fault[] {
    return [...this.#known].map(([sentence, { times, lastAt }]) => ({ sentence, times, lastAt }));
  }

  /** @param what What was done, such as `Reading the status`. */
  add(what: string, error: unknown): void {
    const sentence = `${what} failed, and everything goes on: ${describeError(error)}`;
    const nowMs = performance.now();
    const fault = this.#known.get(sentence) ?? { times: 0, lastAt: '', toldMs: Number.NEGATIVE_INFINITY };
    fault.times += 1;
    fault.lastAt = new Date().toISOString();
    // The newest stays last.
    this.#known.delete(sentence);
    this.#known.set(sentence, fault);
    const [oldest] = this.#known.keys();
    if (this.#known.size > most && oldest !== undefined) this.#known.delete(oldest);
    if (nowMs - fault.toldMs < tellAgainMs) return;
    fault.toldMs = nowMs;
    this.#tell(sentence);
  }

  /** Does it; undefined when it failed. */
  guard<T>(what: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.add(what, error);
      return undefined;
    }
  }

  /** Waits for it, and for its failure; undefined then. */
  async settle<T>(what: string, work: Promise<T>): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      this.add(what, error);
      return undefined;
    }
  }
}

/** What the system says when it has no more to give. */
const shortages: Readonly<Record<string, string>> = {
  EMFILE: 'hold has as many files open as it may (ulimit -n)',
  ENFILE: 'the system has as many files open as it may (fs.file-max)',
  EAGAIN: 'there are as many processes as there may be (ulimit -u, pids.max of the control group)',
  ENOMEM: 'there is no memory left',
  ENOSPC: 'there is no space left',
  E2BIG: 'the command and its environment are too long',
};

/** @internal One sentence of any error: of the system in words that help, of ours with the error as it is. */
export function describeError(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const shortage = typeof code === 'string' ? shortages[code] : undefined;
  if (shortage !== undefined) return `${shortage} (${code})`;
  if (isSystemError(error) || !(error instanceof Error)) return messageOf(error);
  return `${messageOf(error)}. This is a fault of rebind, please report it`;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
}
