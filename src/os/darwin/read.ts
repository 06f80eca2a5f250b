/**
 * The reading half of macOS: facts, inventory, settings and one process. Nothing here throws for what it could not see; that becomes a gap.
 */
import type { Request } from '../../model/endpoint.ts';
import { unprovenOn } from '../../model/evidence.ts';
import type {
  Asker,
  Facts,
  Gap,
  Holder,
  HolderSearch,
  InetSocket,
  ProcessIdentity,
  Socket,
} from '../../model/facts.ts';
import { mayMatter } from '../../model/may-matter.ts';
import { isUnsupportedError } from '../errors.ts';
import type { Inventory, Reading } from '../os.ts';
import { listedByPrograms, missingHolders } from './gaps.ts';
import { type Mac, whyNoLib } from './mac.ts';
import { nativeSource, type Source } from './native-source.ts';
import { processVersion } from './process-info.ts';
import { readSettings } from './settings.ts';
import { startedBy, textSource } from './text-source.ts';
import { readUnixFile, socketsAt } from './unix-file.ts';

/** @param portable The settings that Node alone tells. */
export function openReading(mac: Mac, portable: () => Facts['settings']): Omit<Reading, 'probe'> {
  const settings = () => readSettings(whyNoLib(mac) === null ? mac.lib() : null, mac.uid(), portable());
  /** Reads through libSystem, and through the programs of the system where that is not possible. */
  const reading = <Result>(read: (source: Source, gaps: Gap[]) => Result): Result => {
    try {
      return read(nativeSource(mac.lib(), mac.darwin), []);
    } catch (error) {
      if (!isUnsupportedError(error)) throw error;
      const gaps = [listedByPrograms(lower(error.message), error.code)];
      return read(textSource(mac, identityBeside(mac)), gaps);
    }
  };
  return {
    readFacts: (request, { holders = 'likely' } = {}) =>
      reading((source, gaps) => readFacts(source, gaps, request, holders, mac, settings())),
    readInventory: () => reading((source, gaps) => readInventory(source, gaps, mac)),
    readSettings: settings,
    hasIpv6: () => portable().ipv6,
    // The rules of pf(4) are not read.
    readRedirects: () => [],
    readProcess: (identity) => reading((source) => readProcess(source, identity)),
  };
}

/** Where a structure of sockets has another size, processes may still be known by their numbers. */
function identityBeside(mac: Mac): Parameters<typeof textSource>[1] {
  if (whyNoLib(mac) !== null) return startedBy;
  return (one) => {
    try {
      const version = processVersion(mac.lib(), mac.darwin, one.pid);
      return version === null ? startedBy(one) : String(version.uniqueId);
    } catch (error) {
      if (!isUnsupportedError(error)) throw error;
      return startedBy(one);
    }
  };
}

function readFacts(
  source: Source,
  gaps: Gap[],
  request: Request,
  reach: HolderSearch,
  mac: Mac,
  settings: Facts['settings'],
): Facts {
  const { endpoint } = request;
  const readAtMs = Date.now();
  const unixSockets = endpoint.protocol === 'unix' ? source.unixSockets(gaps) : null;
  const unixFile = endpoint.protocol === 'unix' ? readUnixFile(endpoint.path, unixSockets) : null;
  const before = gaps.length;
  const sockets: readonly Socket[] =
    endpoint.protocol === 'unix'
      ? socketsAt(unixFile?.cutTo ?? endpoint.path, unixSockets ?? [])
      : // Port 0 is a question to the kernel, not a port that somebody has.
        endpoint.port === 0
        ? []
        : (['tcp', 'udp'] as const).flatMap((protocol) => onPort(source.inetSockets(protocol, gaps), endpoint.port));
  const isSeen = endpoint.protocol === 'unix' ? unixSockets !== null : gaps.length === before;
  const asker = readAsker(source, mac.uid());
  const needed = (socket: Socket): boolean => mayMatter(endpoint, socket);
  const wanted = sockets.filter((socket) => needed(socket) && socket.inode !== 0);
  const isAsked = reach !== 'none' && wanted.length > 0;
  const { holders, unseen } = isAsked
    ? source.holders(wanted)
    : { holders: new Map<number, readonly Holder[]>(), unseen: null };
  if (isAsked)
    gaps.push(
      ...missingHolders(
        wanted.filter(({ inode }) => !holders.has(inode)),
        { uid: asker.uid, unseen, userName: source.describer.userName, nameOf: source.describer.nameOf },
      ),
    );
  const makers = [
    ...sockets.map(({ uid }) => uid),
    ...(unixFile === null || unixFile.uid === null ? [] : [unixFile.uid]),
  ];
  return {
    platform: 'darwin',
    kernel: mac.kernel,
    readAtMs,
    sockets,
    holders,
    unseen: { sockets: !isSeen, processes: unseen !== null },
    standings: isAsked
      ? source.standings([...holders.values()].flat(), endpoint.protocol === 'unix' ? null : endpoint.port)
      : new Map(),
    unixFile,
    users: new Map(makers.map((uid) => [uid, source.describer.userName(uid)])),
    settings,
    asker,
    gaps,
  };
}

function onPort(sockets: readonly InetSocket[], port: number): InetSocket[] {
  return sockets.filter(({ local }) => local.port === port);
}

function readInventory(source: Source, gaps: Gap[], mac: Mac): Inventory {
  const sockets = (['tcp', 'udp'] as const).flatMap((protocol) =>
    source.inetSockets(protocol, gaps).filter(({ state }) => state === 'LISTEN' || state === 'BOUND'),
  );
  const unixSockets = (source.unixSockets(gaps) ?? []).filter(({ state }) => state !== 'ESTABLISHED');
  const { holders, unseen } = source.holders([...sockets, ...unixSockets]);
  const asker = readAsker(source, mac.uid());
  const missing = sockets.filter(({ inode }) => inode !== 0 && !holders.has(inode));
  gaps.push(
    ...missingHolders(missing, {
      uid: asker.uid,
      unseen,
      userName: source.describer.userName,
      nameOf: source.describer.nameOf,
    }),
  );
  gaps.push(...unprovenOn('darwin'));
  const users = new Map(sockets.map((each) => [each.uid, source.describer.userName(each.uid)]));
  return { sockets, unixSockets, holders, users, asker, gaps };
}

/** Null when that process is gone, or the number belongs to another one now. */
function readProcess({ describer }: Source, { pid, started }: ProcessIdentity): Holder | null {
  const description = describer.describe(pid);
  return description?.started === started ? { ...description, descriptors: [], accepts: null } : null;
}

function readAsker({ describer }: Source, uid: number): Asker {
  return {
    pid: process.pid,
    uid,
    user: describer.userName(uid),
    cwd: workingDirectory(),
    ancestors: ancestors(describer),
    sudoUid: uid === 0 ? sudoUid() : null,
    unit: null,
  };
}

/** The parent is known in any case. */
function ancestors(describer: Source['describer']): readonly number[] {
  const found = describer.parents(process.pid).map(({ pid }) => pid);
  return found.length > 0 ? found : [process.ppid];
}

/** sudo(8) sets it for what it runs; somebody who is not root has no use for it. */
function sudoUid(): number | null {
  const { SUDO_UID: uid } = process.env;
  return uid !== undefined && /^\d{1,9}$/.test(uid) && uid !== '0' ? Number(uid) : null;
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    // It was removed.
    return '/';
  }
}

function lower(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
