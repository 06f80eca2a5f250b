/**
 * Whether servers are ready for clients, and what keeps them from it: what `/readyz` and HAProxy's agent tell.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeText } from '../model/text.ts';
import { close } from './close.ts';
import type { HealthPlan } from './health-options.ts';
import { isListening } from './listen-plan.ts';
import type { Unready } from './unready.ts';

/** Answers for one `health`. */
export class Readiness {
  readonly #plan: HealthPlan;
  /** Checks that did not answer in time, and still may: a database that hangs is not asked again and again. */
  readonly #hanging = new Set<string>();
  /** The checks that run now, which all who ask meanwhile wait for: a flood of questions is one question to the database. */
  #running: Promise<readonly string[]> | null = null;

  constructor(plan: HealthPlan) {
    this.#plan = plan;
  }

  /** Null when ready. */
  async unready(): Promise<Unready | null> {
    const servers = this.#plan.servers();
    if (servers.some((server) => close.isClosing(server))) return { closing: true, reason: 'closing' };
    if (servers.length === 0 || !servers.every(isListening)) return { closing: false, reason: 'not listening' };
    const failing = await this.#failing();
    // It may have begun meanwhile.
    if (servers.some((server) => close.isClosing(server))) return { closing: true, reason: 'closing' };
    return failing.length === 0 ? null : { closing: false, reason: `failing: ${failing.join(', ')}` };
  }

  #failing(): Promise<readonly string[]> {
    if (this.#plan.checks.length === 0) return Promise.resolve([]);
    this.#running ??= this.#look().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #look(): Promise<readonly string[]> {
    const names = await Promise.all(
      this.#plan.checks.map(async ([name, check]) => ((await this.#isWell(name, check)) ? [] : [name])),
    );
    return names.flat().map(escapeText);
  }

  async #isWell(name: string, check: () => unknown): Promise<boolean> {
    if (this.#hanging.has(name)) return false;
    const enough = new AbortController();
    const late = sleep(this.#plan.checkMs, false, { ref: false, signal: enough.signal });
    // Told below that it is no longer needed.
    late.catch(() => {});
    this.#hanging.add(name);
    const answered = (async () => (await check()) !== false)().finally(() => this.#hanging.delete(name));
    try {
      return await Promise.race([answered, late]);
    } catch {
      // A check that throws says no; the answer names it.
      return false;
    } finally {
      enough.abort();
      // One that fails after its time has said no already.
      answered.catch(() => {});
    }
  }
}
