/**
 * One line on stderr that says what is being waited for, written over and over; only on a terminal, and gone when it is over.
 */
import { canvas, type Io } from './io.ts';
import { shorten } from './text.ts';

/** What a wait is about. `leftMs` counts down; without it the line counts up. */
export interface Situation {
  readonly text: string;
  readonly leftMs: number | null;
  /** Of how many, for the bar; null draws none. */
  readonly wholeMs: number | null;
}

/** A line that is alive until it is closed. */
export interface Status extends Disposable {
  show(situation: Situation): void;
  /** Takes the line away, so that something else can be written. */
  clear(): void;
}

/** Once a second: seconds are what it counts. */
const everyMs = 1_000;

export function openStatus(io: Io): Status {
  if (!io.isInteractive) return { show: () => {}, clear: () => {}, [Symbol.dispose]: () => {} };
  const { width, unicode, paint } = canvas(io, 'stderr');
  let situation: Situation | null = null;
  let sinceMs = 0;
  let timer: NodeJS.Timeout | null = null;
  const draw = (): void => {
    if (situation === null) return;
    const spentMs = performance.now() - sinceMs;
    io.stderr.write(`\r\x1b[K${paint('faint', lineOf(situation, spentMs, width - 1, unicode))}`);
  };
  const clear = (): void => {
    if (timer !== null) {
      clearInterval(timer);
      io.stderr.write('\r\x1b[K');
    }
    timer = null;
    situation = null;
  };
  return {
    show(next) {
      if (situation === null || situation.text !== next.text || next.leftMs !== null) sinceMs = performance.now();
      situation = next;
      // Does not keep the process alive: the wait itself does.
      timer ??= setInterval(draw, everyMs).unref();
      draw();
    },
    clear,
    [Symbol.dispose]: clear,
  };
}

/** The time is what changes, so it is the text that is cut where the line is short. */
function lineOf({ text, leftMs, wholeMs }: Situation, spentMs: number, width: number, unicode: boolean): string {
  const nowMs = leftMs === null ? 0 : Math.max(0, leftMs - spentMs);
  const time = leftMs === null ? ` (${Math.floor(spentMs / 1000)} s)` : ` (${Math.ceil(nowMs / 1000)} s left)`;
  const hasBar = leftMs !== null && wholeMs !== null && wholeMs > 0 && width >= narrow;
  const bar = hasBar ? `${barOf(1 - nowMs / wholeMs, width >= wide ? 20 : 10, unicode)} ` : '';
  return shorten(bar + shorten(text, Math.max(1, width - bar.length - time.length), unicode) + time, width, unicode);
}

/** Columns from which there is a short bar, and a long one. */
const [narrow, wide] = [40, 70];

function barOf(share: number, length: number, unicode: boolean): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * length);
  const [on, off] = unicode ? ['█', '░'] : ['#', '.'];
  return on.repeat(full) + off.repeat(length - full);
}
