/**
 * Processes that left the command's session, as a daemon does, and took a held socket with them: no signal to the group
 * reaches them, and they would keep the port.
 */
import { endAll, kill } from '../act/end.ts';
import type { ProcessIdentity } from '../model/facts.ts';
import { os } from '../os/index.ts';
import type { HeldSocket } from './held-socket.ts';
import { type Passed, passedVariable, readPassed } from './wire/passed.ts';

/**
 * Ends them: SIGTERM, and SIGKILL after the grace. Only those that have one of the sockets, and that this generation of this hold
 * started: the token in their environment proves it.
 *
 * @returns Whom it ended.
 */
export async function endRunaways(
  sockets: readonly HeldSocket[],
  startedBy: { readonly token: string; readonly generation: number },
  graceMs: number,
): Promise<readonly ProcessIdentity[]> {
  const inodes = sockets.map(({ identity }) => Number(identity.split(':')[1]));
  const runaways = os()
    .processes.withSockets(inodes)
    .filter(({ pid }) => {
      const passed = passedTo(pid);
      return passed?.token === startedBy.token && passed.generation === startedBy.generation;
    });
  if (runaways.length === 0) return [];
  for (const stubborn of await endAll(os(), runaways, graceMs)) {
    const handle = os().processes.open(stubborn);
    if (handle === null) continue;
    kill(handle);
    handle.close();
  }
  return runaways;
}

/** What a hold passed to a process when it started it; null when none did, or its environment may not be read. */
export function passedTo(pid: number): Passed | null {
  return readPassed({ [passedVariable]: os().processes.readVariable(pid, passedVariable) ?? undefined });
}
