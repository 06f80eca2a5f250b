/**
 * One process, described in the words of the model: what everybody may know of it, and more where it is one's own.
 */
import type { Holder, ParentProcess, ProcessIdentity } from '../../model/facts.ts';
import { isRefused } from './asking.ts';
import type { LibSystem } from './lib-system.ts';
import {
  executableOf,
  type ProcessFacts,
  processArguments,
  processFacts,
  processVersion,
  workingDirectory,
} from './process-info.ts';

/** Everything about a process except what it holds. */
export type Description = Omit<Holder, 'descriptors' | 'accepts'>;

/** Describes processes, and remembers what several of them share. Use one for one reading. */
export interface Describer {
  /** Null when it is gone, a zombie included. */
  describe(pid: number): Description | null;
  facts(pid: number): ProcessFacts | null;
  /** The name of a user, or the number as text. */
  userName(uid: number): string;
  /** The name of a process, which everybody may know; null when there is none. */
  nameOf(pid: number): string | null;
  /** Nearest first, up to pid 1. */
  parents(pid: number): ParentProcess[];
}

/** Deeper than any process tree that a person made. */
const maxParents = 256;

export function openDescriber(lib: LibSystem, darwin: number): Describer {
  const known = new Map<number, ProcessFacts | null>();
  const names = new Map<number, string>();
  const facts = (pid: number): ProcessFacts | null => {
    let found = known.get(pid);
    if (found === undefined) {
      found = processFacts(lib, darwin, pid);
      known.set(pid, found);
    }
    return found;
  };
  const userName = (uid: number): string => {
    let name = names.get(uid);
    if (name === undefined) {
      name = lib.user_from_uid(uid) ?? String(uid);
      names.set(uid, name);
    }
    return name;
  };
  const argvOf = (pid: number): readonly string[] => {
    const found = processArguments(lib, pid);
    return isRefused(found) ? [] : found.argv;
  };
  const parents = (pid: number): ParentProcess[] => {
    const chain: ParentProcess[] = [];
    const seen = new Set([pid]);
    for (let next = facts(pid)?.parent ?? 0; next > 0 && !seen.has(next) && chain.length < maxParents; ) {
      seen.add(next);
      const parent = facts(next);
      if (parent === null) break;
      chain.push({ pid: next, command: parent.command, argv: argvOf(next) });
      next = parent.parent;
    }
    return chain;
  };
  return {
    nameOf: (pid) => facts(pid)?.command ?? null,
    facts,
    userName,
    parents,
    describe(pid) {
      const now = facts(pid);
      const version = processVersion(lib, darwin, pid);
      if (now === null || version === null || now.state === 'Z') return null;
      return {
        pid,
        started: startedOf(version.uniqueId),
        command: whole(now.command, executableOf(lib, pid)),
        argv: argvOf(pid),
        cwd: workingDirectory(lib, darwin, pid),
        uid: now.uid,
        user: userName(now.uid),
        startedAtMs: now.startedAtMs,
        processState: now.state,
        parents: parents(pid),
        unit: null,
        userUnit: false,
        cgroup: null,
        container: null,
        // A debugger is the parent of what it traces (PT_ATTACH of ptrace(2)).
        tracer: now.isTraced ? now.parent : null,
      };
    },
  };
}

/** The kernel keeps 16 bytes of a name (MAXCOMLEN); the file of the program has all of it. */
function whole(command: string, path: string | null): string {
  const name = path === null ? '' : path.slice(path.lastIndexOf('/') + 1);
  return Buffer.byteLength(command) >= 15 && name.startsWith(command) ? name : command;
}

/** p_uniqueid is of this process alone until reboot, also after exec(2); a start time has microseconds and is not unique. */
export function startedOf(uniqueId: bigint): string {
  return String(uniqueId);
}

/** Null when there is no such process. */
export function identityOf(lib: LibSystem, darwin: number, pid: number): ProcessIdentity | null {
  if (!Number.isSafeInteger(pid) || pid < 1) return null;
  const version = processVersion(lib, darwin, pid);
  return version === null ? null : { pid, started: startedOf(version.uniqueId) };
}

/** The name of the user who asks. */
export function ownName(uid: number): string {
  try {
    return process.getBuiltinModule('node:os').userInfo().username;
  } catch {
    // No entry in the directory.
    return String(uid);
  }
}
