/**
 * The processes of one generation that are connected to hold: which of them serve, and asking them to stop and to drain.
 */
import type { AgentConnection } from './control.ts';
import type { AgentMessage, DrainCounts, DrainOrder, HoldMessage } from './wire/messages.ts';

/** A program that does not answer at all is not waited for longer than this before it is asked to end. */
const stopAnswerMs = 2_000;
/** And one that was never heard to listen, such as npm, not longer than this. */
const otherAnswerMs = 300;

export class Agents {
  /** How their connections ended; null while none has said. */
  counts: DrainCounts | null = null;
  readonly #all = new Set<AgentConnection>();
  /** With what they serve on: held sockets by their identity. */
  readonly #serving = new Map<AgentConnection, Set<string>>();
  /** The processes that were heard to listen, also those that are gone. */
  readonly served = new Set<number>();
  /** Who waits for answers; null stands for the end of the connection. */
  readonly #waiters = new Set<(message: AgentMessage | null, agent: AgentConnection) => void>();

  /** @param onMessage Called with everything it says. */
  add(agent: AgentConnection, onMessage: (message: AgentMessage) => void): void {
    this.#all.add(agent);
    agent.onMessage = (message) => {
      onMessage(message);
      for (const waiter of this.#waiters) waiter(message, agent);
    };
    agent.onClose = () => {
      this.#all.delete(agent);
      this.#serving.delete(agent);
      for (const waiter of this.#waiters) waiter(null, agent);
    };
  }

  /** It was heard to listen, on this socket. */
  serves(agent: AgentConnection, identity: string): void {
    if (!this.#all.has(agent)) return;
    const sockets = this.#serving.get(agent) ?? new Set();
    this.#serving.set(agent, sockets.add(identity));
    this.served.add(agent.pid);
  }

  /** True when another process than this one serves on the socket. */
  isServed(identity: string, besides: number): boolean {
    return [...this.#serving].some(([{ pid }, sockets]) => pid !== besides && sockets.has(identity));
  }

  /** Those that serve say in their answers that they are going. */
  sayFarewell(times: Pick<DrainOrder, 'graceMs' | 'lingerMs'>): void {
    for (const agent of this.#serving.keys()) agent.tell({ kind: 'farewell', ...times });
  }

  /**
   * They accept no more, and their connections end. Resolves when that is so, or when the time is over.
   *
   * @param onStopped Called when they accept no more.
   */
  async drain(order: DrainOrder, onStopped: () => void): Promise<void> {
    const { graceMs } = order;
    // Also who was not heard to listen yet: it may have begun a moment ago. A wrapper that is busy is not waited for as long.
    const others = [...this.#all].filter((agent) => !this.#serving.has(agent));
    const answered = await Promise.all([
      this.#order([...this.#serving.keys()], { kind: 'stop' }, 'stopped', Math.min(stopAnswerMs, graceMs)),
      this.#order(others, { kind: 'stop' }, 'stopped', Math.min(otherAnswerMs, graceMs)),
    ]);
    if (this.#serving.size > 0) onStopped();
    const toDrain = [...new Set([...this.#serving.keys(), ...answered.flat()])].filter((agent) => this.#all.has(agent));
    // A little more than the grace: at its end the program resets what is left, and says so.
    await this.#order(toDrain, { kind: 'drain', ...order }, 'drained', graceMs + 250);
  }

  /** Tells these processes, and waits until each has answered or is gone. Resolves with those that answered in time. */
  #order(
    to: readonly AgentConnection[],
    order: HoldMessage,
    answer: 'stopped' | 'drained',
    timeoutMs: number,
  ): Promise<AgentConnection[]> {
    const asked = new Set(to);
    const answered: AgentConnection[] = [];
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(answered);
      };
      const waiter = (message: AgentMessage | null, agent: AgentConnection): void => {
        if (!asked.has(agent)) return;
        if (message?.kind === 'drained') this.counts = add(this.counts, message.counts);
        if (message?.kind === answer) answered.push(agent);
        if (message === null || message.kind === answer) asked.delete(agent);
        if (asked.size === 0) done();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiters.add(waiter);
      for (const agent of asked) agent.tell(order);
      if (asked.size === 0) done();
    });
  }
}

function add(sum: DrainCounts | null, counts: DrainCounts): DrainCounts {
  if (sum === null) return counts;
  return {
    finished: sum.finished + counts.finished,
    idle: sum.idle + counts.idle,
    killed: sum.killed + counts.killed,
    handedOff: sum.handedOff + counts.handedOff,
  };
}
