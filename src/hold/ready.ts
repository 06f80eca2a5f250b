/**
 * Ready, by the kernel's evidence: for programs of any language that say nothing. A connection proves nothing here,
 * because the queue of a held socket answers even when no program accepts.
 */
import { os } from '../os/index.ts';
import type { Faults } from './faults.ts';
import type { HeldSocket } from './held-socket.ts';

/**
 * What showed that a generation is ready.
 *
 * - `listening`: the preload saw the server listen on the held socket
 * - `notify`: READY=1 (sd_notify(3))
 * - `message`: process.send('ready')
 * - `kernel`: one of its processes waits for input on the held socket
 * - `assumed`: it lived for the time that was asked for; nothing was seen
 */
export type Evidence = 'listening' | 'notify' | 'message' | 'kernel' | 'assumed';

/** One look reads a few files of each process of the command. */
const lookEveryMs = 50;
const looksInARow = 2;

/**
 * @internal
 * Looks until every socket is waited for by the process or one below it, and then calls back once.
 *
 * A process that is connected to hold has the preload, and will say itself that it listens. It must be heard first: who
 * was never heard would later be ended without being asked to drain. Twice in a row, so that a connection that is only
 * just being made is seen.
 */
export class KernelWatch {
  readonly #timer: NodeJS.Timeout;

  constructor(
    root: number,
    sockets: readonly HeldSocket[],
    isConnected: (pid: number) => boolean,
    faults: Faults,
    onReady: () => void,
  ) {
    const looks = new Map(sockets.map((socket) => [Number(socket.identity.split(':')[1]), 0]));
    const look = (): void => {
      const { processes } = os();
      const pids = processes.tree(root);
      for (const [inode, seen] of looks) {
        if (seen >= looksInARow) continue;
        const waits = pids.some((pid) => !isConnected(pid) && processes.waitsForInput(pid, inode));
        looks.set(inode, waits ? seen + 1 : 0);
      }
      if ([...looks.values()].some((seen) => seen < looksInARow)) return;
      this.close();
      onReady();
    };
    this.#timer = setInterval(() => faults.guard('Looking whether the command is ready', look), lookEveryMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
