/**
 * What the holders of a listener do with it, where that is more than listening: whether the program is suspended, busy, or this very one.
 */
import type { Holder, InetSocket } from '../../model/facts.ts';
import { hasAccepted } from '../../model/may-end.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { holdersOf } from './kinds.ts';

/** Why a server that holds the port does not answer. */
export type Conduct =
  /** The program that asks has the port itself. */
  | 'this-process'
  /** Stopped by Ctrl-Z or SIGSTOP. */
  | 'suspended'
  | 'stopped-by-debugger'
  /** It has accepted connections, and accepts none now. */
  | 'busy'
  /** Nothing of it waits for connections now. */
  | 'silent';

/** Null where it simply listens, or that cannot be told. */
export function conductOf(sockets: readonly InetSocket[], question: Question): Conduct | null {
  const { facts } = question;
  const holders = holdersOf(sockets, question);
  if (holders.length === 0) return null;
  const all = (is: (holder: Holder) => boolean): boolean => holders.every(is);
  if (all(({ pid }) => pid === facts.asker.pid)) return 'this-process';
  // T and t of proc_pid_stat(5).
  if (all(({ processState }) => processState === 'T')) return 'suspended';
  if (all(({ processState }) => processState === 't')) return 'stopped-by-debugger';
  if (!all(({ accepts }) => accepts === false)) return null;
  return holders.some((holder) => hasAccepted(holder, facts)) ? 'busy' : 'silent';
}

/** What follows "node (pid 41) listens on …". */
export function conductWords(conduct: Conduct | null): string {
  switch (conduct) {
    case 'this-process':
      return ', which is this very process';
    case 'suspended':
      return ' and is suspended, by Ctrl-Z or SIGSTOP, so it does not answer';
    case 'stopped-by-debugger':
      return ' and is stopped by a debugger, so it does not answer';
    case 'busy':
      return ' and accepts no connections now: it is busy with connections it has accepted';
    case 'silent':
      return ' and accepts no connections now';
    case null:
      return '';
  }
}

/** For a program that is in its own way: nothing is to be stopped. */
export const listenOnce: Remedy = {
  remedy: 'investigate',
  sentence: 'Look for the second call: this program listens on the port twice, for example in app.js and in bin/www',
  command: null,
  automatic: false,
  args: {},
};
