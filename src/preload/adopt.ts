/**
 * `node --import rebind/adopt server.js`: an unmodified program listens on the sockets that `rebind hold`, or systemd, keeps.
 *
 * Hold adds this to NODE_OPTIONS, so it runs in every Node process of the command: in npm and tsx, which pass the
 * descriptors on, and in the server, whose listen() takes one. Where nobody passed a socket it does nothing.
 */
import cluster from 'node:cluster';
import dgram from 'node:dgram';
import net from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { adoption } from '../adopt/adopt.ts';
import type { Adoption } from '../adopt/adoption.ts';
import { sayNow } from '../adopt/ask-for-socket.ts';
import { passToChildren } from '../adopt/children.ts';

const adopting = adoption();
if (adopting !== null) install(adopting);

function install(adopting: Adoption): void {
  net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
    return adopting.listen(this, args);
  } as typeof net.Server.prototype.listen;
  dgram.Socket.prototype.bind = function (this: dgram.Socket, ...args: unknown[]) {
    return adopting.bind(this, args);
  } as typeof dgram.Socket.prototype.bind;
  if (cluster.isPrimary) adopting.serveCluster();
  if (!isMainThread) return;
  const { passed, inherited, agent } = adopting;
  passToChildren(inherited, () => adopting.hasTaken);
  // Every process of the command is told when hold is gone; only one that serves is asked to drain.
  agent.connect();
  process.on('uncaughtExceptionMonitor', (error) => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    try {
      if (passed.control !== '')
        sayNow(passed, { kind: 'failed', token: passed.token, generation: passed.generation, message });
    } catch {
      // The program's own error goes on, whether hold hears of it or not.
    }
  });
  if (passed.readyBy === 'message' && process.send === undefined) {
    process.send = (message: unknown): boolean => {
      if (message === 'ready') agent.tell({ kind: 'ready' });
      return true;
    };
  }
}
