/**
 * Who has a socket open? The kernel keeps no list, so processes are looked into, the likeliest first:
 * those in the cgroup that the socket was made in, those of its user, then the rest; low descriptors before high ones.
 * A search that finds everybody early looks only at their relatives besides, and says that it did.
 */
import { cgroup2Mount, cgroupIds, cgroupMembers, readCgroupPaths } from './cgroup.ts';
import { placeOf } from './living-thread.ts';
import { type Look, openSocketFinder, type SocketFinder, type Which } from './open-sockets.ts';
import { attempt, type Proc, ProcError } from './proc.ts';
import { relativesOf } from './relatives.ts';

/** A socket whose holders are wanted, and what the kernel says of its maker. */
export interface WantedSocket {
  readonly inode: number;
  readonly uid: number;
  readonly cgroupId: string | null;
  /** True when a search that may stop early must not stop before somebody was found for it. */
  readonly needed: boolean;
}

/** What was found. */
export interface Search {
  /** Descriptors by process, by inode. Every wanted inode has an entry, maybe an empty one. */
  readonly found: ReadonlyMap<number, ReadonlyMap<number, readonly number[]>>;
  /** Why somebody else may have one of them open: an errno, or null when all that had to be looked into was. */
  readonly unseen: string | null;
}

/** Links worth reading for completeness after everybody wanted was found: about 4 ms. */
const cheapLinks = 1_000;
/** Links worth reading among near relatives, and then among far ones: about 10 ms each. */
const relativeLinks = 2_500;

/** Where descriptors that are handed over arrive: the standard ones, and what follows (sd_listen_fds(3)). */
const givenNumbers: readonly number[] = [0, 1, 2, 3, 4];
/** How often processes are listed again for one that nobody was found for: about 1 ms each. */
const mostListings = 5;
/** How many numbers are tried in a far relative. */
const mostNumbers = 32;

/** @param reach `likely` may stop early, `all` looks into every process. */
export function findHolders(proc: Proc, wanted: readonly WantedSocket[], reach: 'likely' | 'all'): Search {
  const search = new HolderSearch(proc, wanted);
  if (wanted.length > 0) {
    if (reach === 'all') search.everywhere();
    else search.likely();
  }
  return search.result();
}

class HolderSearch {
  readonly #proc: Proc;
  readonly #wanted: readonly WantedSocket[];
  readonly #finder: SocketFinder;
  readonly #found = new Map<number, Map<number, number[]>>();
  /** Needed inodes that nobody was found for yet. */
  readonly #missing: Set<number>;
  /** Processes whose every descriptor was seen, or that are gone. */
  readonly #done = new Set<number>();
  readonly #denied = new Set<number>();
  /** Processes that showed no descriptor. */
  readonly #empty = new Set<number>();
  #pids: readonly number[];
  /** What else kept us from looking, and `ESRCH` where processes started faster than they could be looked into. */
  #failure: string | null = null;

  constructor(proc: Proc, wanted: readonly WantedSocket[]) {
    this.#proc = proc;
    this.#wanted = wanted;
    this.#finder = openSocketFinder(proc);
    this.#missing = new Set(wanted.filter(({ needed }) => needed).map(({ inode }) => inode));
    for (const { inode } of wanted) this.#found.set(inode, new Map());
    this.#pids = this.#listed();
  }

  #listed(): readonly number[] {
    try {
      return this.#proc.pids();
    } catch (error) {
      if (!(error instanceof ProcError)) throw error;
      this.#failure = error.code;
      return [];
    }
  }

  result(): Search {
    for (const byPid of this.#found.values())
      for (const [pid, descriptors] of byPid)
        byPid.set(
          pid,
          [...new Set(descriptors)].sort((a, b) => a - b),
        );
    return { found: this.#found, unseen: this.#denied.size > 0 ? 'EACCES' : this.#failure };
  }

  everywhere(): void {
    for (const pid of this.#pids) this.#lookInto(pid);
    this.#lookBehind();
    if (this.#missing.size > 0) this.#lookAtNew();
  }

  likely(): void {
    for (const group of this.#groups()) {
      if (this.#missing.size === 0) break;
      this.#searchGroup(group);
    }
    if (this.#missing.size > 0) this.#lookBehind();
    if (this.#missing.size > 0) this.#lookAtNew();
    if (this.#missing.size > 0) return;
    // Completeness for little: on a quiet machine this is every process.
    this.#untilSpent(this.#pids, cheapLinks);
    if (!this.#isComplete()) this.#searchRelatives();
  }

  /** A holder that forks and exits in a loop is never among those that were listed: its children are, until no new ones come. */
  #lookAtNew(): void {
    const known = new Set(this.#pids);
    for (let round = 0; round < mostListings; round++) {
      const fresh = this.#listed().filter((pid) => !known.has(pid));
      if (fresh.length === 0) return;
      // The youngest last: the most likely to be still there.
      for (const pid of fresh.reverse()) {
        known.add(pid);
        this.#lookInto(pid);
        if (this.#missing.size === 0) return;
      }
    }
    this.#failure ??= 'ESRCH';
  }

  #isComplete(): boolean {
    return this.#pids.every((pid) => this.#done.has(pid) || this.#denied.has(pid));
  }

  /**
   * The first descriptors of everybody, then all of them; stops when nothing is missing.
   * A server opens its socket before its files and clients.
   */
  #searchGroup(pids: readonly number[]): void {
    for (const pid of pids) {
      if (this.#missing.size === 0) return;
      if (this.#done.has(pid) || this.#denied.has(pid)) continue;
      // Where one wanted socket is, the others are likely: a server holds its listener and its connections.
      if (this.#look(pid, 'first') === 'hit') this.#lookInto(pid);
    }
    for (const pid of pids) {
      if (this.#missing.size === 0) return;
      this.#lookInto(pid);
    }
  }

  /**
   * A descriptor comes to another process by fork or by exec: to children, and to what the same parent, job or session started.
   */
  #searchRelatives(): void {
    const holders = new Set<number>();
    const numbers = new Set<number>();
    for (const byPid of this.#found.values())
      for (const [pid, descriptors] of byPid) {
        holders.add(pid);
        for (const descriptor of descriptors) numbers.add(descriptor);
      }
    const { near, far } = relativesOf(this.#proc, this.#pids, holders);
    this.#untilSpent(near, relativeLinks);
    // A fork keeps the number, and a program that is given a descriptor mostly gets one of the first.
    const likelyNumbers = [...new Set([...givenNumbers, ...numbers])].slice(0, mostNumbers);
    const limit = this.#finder.count + relativeLinks;
    for (const pid of far) {
      if (this.#finder.count > limit) return;
      if (!this.#done.has(pid) && !this.#denied.has(pid) && this.#look(pid, likelyNumbers) === 'hit')
        this.#lookInto(pid);
    }
  }

  #untilSpent(pids: readonly number[], links: number): void {
    const limit = this.#finder.count + links;
    for (const pid of pids) {
      if (this.#finder.count > limit) return;
      this.#lookInto(pid);
    }
  }

  #lookInto(pid: number): void {
    if (!this.#done.has(pid) && !this.#denied.has(pid)) this.#look(pid, 'all');
  }

  /** At the other threads of those whose first one has ended; most that show nothing are the kernel's own. */
  #lookBehind(): void {
    // To others than root such a process seems to be root's.
    for (const pid of [...this.#empty, ...this.#denied]) {
      const place = placeOf(this.#proc, pid);
      if (place !== `${pid}` && this.#look(pid, 'all', place) !== 'denied') this.#denied.delete(pid);
    }
    this.#empty.clear();
  }

  /** `hit` when a wanted socket was seen. */
  #look(pid: number, which: Which, place = `${pid}`): 'hit' | Look {
    let hit = false;
    const look = this.#finder.sockets(place, which, (inode, descriptor) => {
      const byPid = this.#found.get(inode);
      if (byPid === undefined) return;
      hit = true;
      this.#missing.delete(inode);
      const descriptors = byPid.get(pid);
      if (descriptors === undefined) byPid.set(pid, [descriptor]);
      else descriptors.push(descriptor);
    });
    if (look === 'denied') this.#denied.add(pid);
    else if (look === 'failed') this.#failure ??= 'EMFILE';
    else if (look !== 'partly' && (look !== 'looked' || typeof which === 'string')) this.#done.add(pid);
    if (look === 'empty') this.#empty.add(pid);
    return hit ? 'hit' : look;
  }

  /** Processes in the order of likelihood, each in one group. */
  *#groups(): Generator<readonly number[]> {
    const needed = this.#wanted.filter(({ inode }) => this.#missing.has(inode));
    const uids = new Set(needed.map(({ uid }) => uid));
    const own: number[] = [];
    const others: number[] = [];
    for (const pid of this.#pids) {
      const uid = attempt(() => this.#proc.owner(`${pid}`));
      (uid !== null && uids.has(uid) ? own : others).push(pid);
    }
    const ids = new Set(needed.map(({ cgroupId }) => cgroupId).filter((id) => id !== null));
    const inCgroup = new Set(this.#membersOf(ids, [...own, ...others]));
    yield [...inCgroup];
    yield own.filter((pid) => !inCgroup.has(pid));
    yield others.filter((pid) => !inCgroup.has(pid));
  }

  /** The processes of these cgroups; nobody when that would be about everybody. */
  #membersOf(ids: ReadonlySet<string>, pids: readonly number[]): number[] {
    const mount = ids.size === 0 ? null : cgroup2Mount(this.#proc);
    if (mount === null) return [];
    const idOf = cgroupIds(mount);
    const root = idOf('/');
    const left = new Set([...ids].filter((id) => id !== root));
    const members: number[] = [];
    for (const pid of pids) {
      if (left.size === 0) break;
      const path = readCgroupPaths(this.#proc, pid)?.unified ?? null;
      const id = path === null ? null : idOf(path);
      if (path !== null && id !== null && left.delete(id)) members.push(...cgroupMembers(mount, path));
    }
    return members;
  }
}
