/**
 * What could not be seen on a Mac, in sentences.
 */
import { formatAddress } from '../../model/address.ts';
import type { Gap, Socket } from '../../model/facts.ts';

/** Sockets were listed by the programs of the system. */
export function listedByPrograms(why: string, code: string): Gap {
  return {
    what: `Sockets and processes were read from netstat, lsof and ps: ${why}`,
    why: code,
    hint: 'Which user made a socket, and which process has it, is then known only of the own ones',
  };
}

export function notListed(protocol: string, why: string): Gap {
  return {
    what: `The ${protocol} sockets of this Mac cannot be listed`,
    why,
    hint: 'Run it outside of the sandbox, or look with sudo lsof -nP -i',
  };
}

/** One gap for each user whose sockets nobody was found for. */
export function missingHolders(
  sockets: readonly Socket[],
  sight: {
    readonly uid: number;
    readonly unseen: string | null;
    readonly userName: (uid: number) => string;
    /** The name of a process that everybody may know; null when it is gone. */
    readonly nameOf: (pid: number) => string | null;
  },
): Gap[] {
  if (sight.unseen === null || sight.uid === 0) return [];
  const byUid = new Map<number, Socket>();
  for (const socket of sockets) if (!byUid.has(socket.uid)) byUid.set(socket.uid, socket);
  return [...byUid].map(([uid, socket]) => {
    const own = uid === sight.uid;
    const who = own || uid === 0 ? 'as root' : `as user ${sight.userName(uid)} or as root`;
    const hint = own
      ? 'A process of another user, such as launchd, has it: run it as root'
      : `Only that user and root may look into its processes: run it ${who}`;
    return {
      what: `Which process of user ${sight.userName(uid)} has ${nameOf(socket)} open cannot be seen`,
      why: sight.unseen ?? 'EPERM',
      hint: `${hint}${lastUser(socket, sight.nameOf)}`,
    };
  });
}

/** so_last_pid, as what it is. */
function lastUser(socket: Socket, nameOf: (pid: number) => string | null): string {
  const pid = socket.protocol === 'unix' ? 0 : (socket.darwin?.lastPid ?? 0);
  const name = pid === 0 ? null : nameOf(pid);
  return name === null ? '' : `. A hint, no proof: ${name} (pid ${pid}) was the last that used it`;
}

function nameOf(socket: Socket): string {
  if (socket.protocol === 'unix') return 'the socket';
  return `${socket.protocol} ${formatAddress(socket.local.address, socket.local.port)}`;
}
