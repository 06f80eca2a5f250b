/**
 * Runs the table of machine.ts: one event after the other, and the orders of each before the next.
 */
import { currentOf, type Event, initial, nextOf, type Order, type Rules, type State, step } from './machine.ts';

export class Decisions {
  readonly #rules: Rules;
  readonly #carryOut: (order: Order) => void;
  readonly #events: Event[] = [];
  #state = initial;
  #isDeciding = false;

  /** @param carryOut Must not throw, and must not wait: what comes of an order is an event. */
  constructor(rules: Rules, carryOut: (order: Order) => void) {
    this.#rules = rules;
    this.#carryOut = carryOut;
  }

  get state(): State {
    return this.#state;
  }

  /** The number of the generation that serves, or is meant to; 0 for none. */
  get current(): number {
    return currentOf(this.#state) ?? 0;
  }

  /** The number of the one that starts beside it; 0 for none. */
  get next(): number {
    return nextOf(this.#state) ?? 0;
  }

  get isStopping(): boolean {
    return ['leaving', 'stopping', 'over'].includes(this.#state.now.kind);
  }

  /** What an order leads to at once waits until the orders before it are carried out. */
  happened(event: Event): void {
    this.#events.push(event);
    if (this.#isDeciding) return;
    this.#isDeciding = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const { state, orders } = step(this.#state, next, this.#rules);
      this.#state = state;
      for (const order of orders) this.#carryOut(order);
    }
    this.#isDeciding = false;
  }
}
