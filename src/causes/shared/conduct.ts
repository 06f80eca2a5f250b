/**
 * What the holders of a listener do with it, where that is more than listening: whether the program is suspended, busy, or this very one.
 */
import type { Holder, InetSocket } from '../../model/facts.ts';
import { heldHere } from '../../model/held-here.ts';
import { hasAccepted } from '../../model/may-end.ts';
import { isSibling } from '../../model/suspect.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { holdersOf } from './kinds.ts';

/** Why a server that holds the port does not answer. */
export type Conduct =
  /** The program that asks has the port itself. */
  | 'this-process'
  /** rebind hold has it, for the command that the asker runs in. */
  | 'held-here'
  /** Another worker of the test run that asks has it. */
  | 'same-test-run'
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
  const has = (is: (holder: Holder) => boolean): boolean =>
    sockets.every((socket) => holdersOf([socket], question).some(is));
  if (heldHere(question) !== null) return 'held-here';
  // Any other holder got it from this process; but what it only inherited, its parent listens on.
  const inherited = holders.some(({ pid }) => facts.asker.ancestors.includes(pid));
  if (has(({ pid, accepts }) => pid === facts.asker.pid && !(inherited && accepts === false))) return 'this-process';
  if (has((holder) => isSibling(holder, facts.asker))) return 'same-test-run';
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
    case 'held-here':
      return ' for the command that this runs in, and hands it to the server that listens';
    case 'same-test-run':
      return ', which is another worker of the same test run';
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
  sentence:
    'Listen once: often the file that makes the app listens, and the file that starts it (bin/www, a test) does so again',
  command: null,
  automatic: false,
  args: {},
};

/** For a program that holds the port by something else than a listener. */
export const closeFirst: Remedy = {
  ...listenOnce,
  sentence: 'This process has the port open itself: close that socket or connection first',
};

const startHere: Remedy = {
  ...listenOnce,
  sentence: 'Start the server here: it gets the socket from rebind hold, so nothing has to be stopped',
};

const portEach: Remedy = {
  remedy: 'use-port',
  sentence:
    'Let each test listen on port 0 and read the port from server.address(), or run the files one after the other',
  command: null,
  automatic: false,
  args: {},
};

/** What helps where the program, or the run that it belongs to, is in its own way; null where the holders are strangers. */
export function amongOurselves(conduct: Conduct | null): Remedy[] | null {
  if (conduct === 'this-process') return [listenOnce];
  if (conduct === 'held-here') return [startHere];
  return conduct === 'same-test-run' ? [portEach] : null;
}
