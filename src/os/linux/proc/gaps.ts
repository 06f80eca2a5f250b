import { formatAddress } from '../../../model/address.ts';
import type { Gap, Socket } from '../../../model/facts.ts';
import { attempt, type Proc } from './proc.ts';

/** PROC_PID_INIT_INO: the first pid namespace, which sees every process (include/linux/proc_ns.h). */
const firstPidNamespace = 'pid:[4026531836]';

const hints: Readonly<Record<string, string>> = {
  EMFILE: 'This process has too few descriptors: raise its limit (ulimit -n)',
  ENFILE: 'The machine has too few descriptors: run it again later',
  ENOMEM: 'The machine has too little memory: run it again later',
};

/** Who asks, and what stood in the way. */
export interface Sight {
  readonly uid: number;
  /** Why processes were not looked into: an errno, or null when each one was. */
  readonly unseen: string | null;
  readonly userName: (uid: number) => string;
}

/** One gap for each user whose sockets nobody was found for. */
export function missingHolders(proc: Proc, sockets: readonly Socket[], sight: Sight): Gap[] {
  const byUid = new Map<number, Socket>();
  for (const socket of sockets) if (!byUid.has(socket.uid)) byUid.set(socket.uid, socket);
  const gaps: Gap[] = [];
  for (const [uid, socket] of byUid) {
    const gap = gapFor(proc, uid, socket, sight);
    if (gap !== null) gaps.push(gap);
  }
  return gaps;
}

function gapFor(proc: Proc, uid: number, socket: Socket, { uid: own, unseen, userName }: Sight): Gap | null {
  const what = `Which process of user ${userName(uid)} has ${nameOf(socket)} open cannot be seen`;
  const others = uid === 0 || uid === own ? 'as root' : `as user ${userName(uid)} or as root`;
  // Then nobody refuses.
  if (own !== 0 && uid !== own && hidesProcesses(proc))
    return { what, why: 'EACCES', hint: `/proc hides the processes of other users here: run it ${others}` };
  if (unseen === 'EACCES') {
    const hint =
      own === 0 ? 'Run rebind as root on the host: here even root may not look into every process' : `Run it ${others}`;
    return { what, why: 'EACCES', hint };
  }
  if (unseen === 'ESRCH')
    return {
      what,
      why: unseen,
      hint: 'Processes start and exit while they are looked into: run it again, or stop what starts them',
    };
  if (unseen !== null && unseen !== 'ENOENT')
    return {
      what,
      why: unseen,
      hint: hints[unseen] ?? 'Processes cannot be listed here: run it outside of the sandbox',
    };
  const namespace = attempt(() => proc.link('self/ns/pid'));
  if (namespace === firstPidNamespace) return null;
  return {
    what,
    why: 'ENOENT',
    hint: 'Its process is outside of this pid namespace: run it on the host, outside of the container',
  };
}

/** Processes of other users are not even listed (hidepid of proc(5)). */
export function hidesProcesses(proc: Proc): boolean {
  const mounts = attempt(() => proc.text('self/mountinfo', 4_194_304)) ?? '';
  return mounts.split('\n').some((line) => / - proc /.test(line) && /hidepid=(?!0|off)/.test(line));
}

function nameOf(socket: Socket): string {
  if (socket.protocol === 'unix') return 'the socket';
  return `${socket.protocol} ${formatAddress(socket.local.address, socket.local.port)}`;
}
