/**
 * `node --require rebind/adopt server.js`: an unmodified program listens on the sockets that `rebind hold`, or systemd, keeps.
 *
 * Hold adds this to NODE_OPTIONS, so it runs in every Node process of the command: in npm and tsx, which pass the
 * descriptors on, and in the server, whose handles open one. Where nobody passed a socket it does nothing.
 */
import { isMainThread } from 'node:worker_threads';
import { adoption } from '../adopt/adopt.ts';
import type { Adoption } from '../adopt/adoption.ts';
import { sayNow } from '../adopt/ask-for-socket.ts';
import { processPrototype } from '../adopt/bindings.ts';
import { passToChildren } from '../adopt/children.ts';
import { forgetModule } from '../adopt/unseen.ts';
import { mostText } from '../hold/wire/messages.ts';

forgetModule(import.meta.url);
try {
  const adopting = adoption();
  if (adopting !== null) start(adopting);
} catch (error) {
  // The program runs all the same; on a held port it finds out that hold has it.
  process.emitWarning(`rebind hold: ${error instanceof Error ? error.message : String(error)}`, {
    code: 'REBIND_ADOPT',
  });
}

function start(adopting: Adoption): void {
  adopting.matches = true;
  if (!isMainThread) return;
  const { passed, inherited, agent, refusals } = adopting;
  const onStart = (): void => {
    refusals.hasChildren = true;
  };
  passToChildren(processPrototype(), inherited, () => adopting.hasTaken, onStart);
  // It connects to hold when it binds something. A process that binds nothing has nothing to say, and ends with its session when hold is gone (hold/guard.ts).
  if (passed.control !== '') tellFailure(adopting);
  if (passed.readyBy === 'message' && process.send === undefined) {
    agent.connect();
    process.send = (message: unknown): boolean => {
      if (message === 'ready') agent.tell({ kind: 'ready' });
      return true;
    };
  }
}

/**
 * Hold shows the error that a program ended with. Node calls the listener, and the program does not find it: it stands on the prototype of the
 * table of listeners, where emit() looks and eventNames() does not.
 */
function tellFailure({ passed }: Adoption): void {
  const tell = (error: unknown): void => {
    const message = String(error instanceof Error ? (error.stack ?? error.message) : error).slice(0, mostText);
    try {
      sayNow(passed, { kind: 'failed', token: passed.token, generation: passed.generation, message });
    } catch {
      // The program's own error goes on, whether hold hears of it or not.
    }
  };
  const { _events: table } = process as unknown as { _events?: object };
  if (typeof table === 'object' && table !== null && Object.getPrototypeOf(table) === null)
    Object.setPrototypeOf(table, { __proto__: null, uncaughtExceptionMonitor: tell });
  else process.on('uncaughtExceptionMonitor', tell);
}
