/**
 * Reports why a generation does not serve: as an event for each way to fail, and as the answer to a restart.
 */
import { describeFailure, describeOutcome, describeStartFailure, linesOf } from './failure.ts';
import type { Generation } from './generation.ts';
import type { HeldSocket } from './held-socket.ts';
import type { Because } from './machine.ts';
import type { HoldEvents, Settings } from './settings.ts';
import { queueOf } from './status.ts';

/** What the reports are made of, and where they go. */
interface Surroundings {
  readonly settings: Pick<Settings, 'cwd' | 'readyTimeoutMs'>;
  readonly generation: (number: number) => Generation | undefined;
  readonly sockets: () => readonly HeldSocket[];
  readonly tell: <Name extends 'refused' | 'crash'>(name: Name, event: HoldEvents[Name][0]) => void;
  readonly note: (sentence: string) => void;
}

export class FailureReports {
  readonly #around: Surroundings;
  /** Why the system did not let a generation start. */
  readonly #unstartable = new Map<number, string>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Remembers that the system did not let it start. */
  couldNotStart(number: number, error: unknown): void {
    this.#unstartable.set(number, describeStartFailure(number, error, this.#around.settings.cwd));
  }

  /** Nothing is left of the generation. */
  forget(number: number): void {
    this.#unstartable.delete(number);
  }

  /** Why it does not serve, one sentence without a full stop. */
  why(number: number, because: Because): string {
    const started = this.#unstartable.get(number);
    if (started !== undefined) return started;
    const generation = this.#around.generation(number);
    if (generation === undefined) return `Generation ${number} is over`;
    const how = because === 'exit' || generation.exit !== null ? 'exit' : 'late';
    return describeFailure(generation, how, this.#around.settings.readyTimeoutMs);
  }

  /** The answer to a restart; null when it went well. */
  answer(number: number | null, because: Because): string | null {
    return describeOutcome(because, number, () => this.why(number ?? 0, because));
  }

  late(number: number): void {
    const waiting = this.#around.sockets().reduce((sum, socket) => sum + (queueOf(socket)?.waiting ?? 0), 0);
    this.#around.note(`${this.why(number, 'late')}. Connections wait in the queue: ${waiting} now`);
  }

  refused(number: number, because: Because, serving: number | null): void {
    const lastLines = linesOf(this.#around.generation(number));
    this.#around.tell('refused', { generation: number, why: this.why(number, because), lastLines, serving });
  }

  crashed(number: number, againInMs: number | null): void {
    const generation = this.#around.generation(number);
    const { exit = null } = generation ?? {};
    if (exit !== null)
      this.#around.tell('crash', { generation: number, exit, lastLines: linesOf(generation), againInMs });
  }
}
