/**
 * The directory of this user's channels. Abstract names have no permissions: anybody reads them in /proc/net/unix, connects to them, or
 * takes them first. In a directory that only we can search, the kernel refuses all of that.
 */
import { accessSync, chmodSync, constants, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Place } from '../../channels.ts';

/** What a name may add to the directory. sun_path holds 107 bytes (unix(7)). */
const longestDirectory = 107 - 1 - 48;

/** The directories of a user, the best first. Root's own is never taken from the environment, which sudo may have kept. */
function candidates(uid: number): string[] {
  const own = uid === effectiveUid();
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const places: string[] = [];
  if (uid === 0) places.push('/run/rebind');
  else {
    if (own && runtime?.startsWith('/')) places.push(join(runtime, 'rebind'));
    places.push(`/run/user/${uid}/rebind`);
  }
  for (const parent of new Set(own ? [process.getBuiltinModule('node:os').tmpdir(), '/tmp'] : ['/tmp'])) {
    const usual = join(parent, `rebind-${uid}`);
    places.push(usual);
    // Another user sits on the usual name, or did when one of ours was made.
    if (ownerOf(usual) !== uid) places.push(...randomOnes(parent, `rebind-${uid}-`));
  }
  return [...new Set(places)];
}

/** The directories of a user that exist and that nobody else can write to. */
export function directories(uid: number): string[] {
  return candidates(uid).filter((path) => refusal(path, uid) === null);
}

/** Finds or makes the directory of this user. */
export function findPlace(): Place {
  const uid = effectiveUid();
  const notes: string[] = [];
  const why: string[] = [];
  let squatted: string | null = null;
  for (const path of candidates(uid)) {
    const refused = make(path, uid);
    if (refused === null) {
      if (uid === 0 && why.length > 0 && notes.length === 0)
        notes.push(
          `Control sockets are in ${path}, because ${why[0]}: terminals and programs that see another ${dirname(path)} do not find this hold`,
        );
      return { directory: path, notes };
    }
    why.push(`${path}: ${refused}`);
    const squatter = ownerOf(path);
    if (squatter === null || squatter === uid) continue;
    notes.push(`${path} belongs to uid ${squatter}, so it is not used: remove it`);
    if (/\/rebind-\d+$/.test(path)) squatted ??= path;
  }
  // Only where none of an earlier time was found above: all processes of this user must meet in one, for their locks.
  if (squatted !== null) {
    const other = `${squatted}-${process.getBuiltinModule('node:crypto').randomBytes(6).toString('hex')}`;
    if (make(other, uid) === null) return { directory: other, notes };
  }
  notes.push(
    `There is no directory for control sockets (${why.join('; ')}): they get abstract names, which other users can see, and programs that change their user cannot be asked to drain`,
  );
  return { directory: null, notes };
}

/** The part that no other user can search. Root's directory itself can be, for programs that gave up root and say READY=1. */
export function privatePart(directory: string): string {
  return effectiveUid() === 0 ? join(directory, 'own') : directory;
}

export function effectiveUid(): number {
  return process.geteuid?.() ?? 0;
}

/** Null when the directory can be used now. */
function make(path: string, uid: number): string | null {
  if (Buffer.byteLength(path) > longestDirectory) return 'the path is too long for a socket';
  const parent = parentRefusal(join(path, '..'), uid);
  if (parent !== null) return parent;
  const mode = uid === 0 ? 0o711 : 0o700;
  try {
    makeOne(path, mode);
    const refused = refusal(path, uid);
    if (refused !== null) return refused;
    const inner = uid === 0 ? join(path, 'own') : path;
    if (inner !== path) makeOne(inner, 0o700);
    // EROFS: made before the file system became read-only.
    accessSync(inner, constants.W_OK);
    return refusal(inner, uid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function makeOne(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
    // umask(2) may have taken some away.
    chmodSync(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Why a directory cannot be trusted; null when it is this user's, no link, and nobody else can write to it. */
function refusal(path: string, uid: number): string | null {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return `it is a link, made by uid ${stat.uid}`;
    if (!stat.isDirectory()) return 'it is not a directory';
    if (stat.uid !== uid) return `it belongs to uid ${stat.uid}`;
    return (stat.mode & 0o022) === 0 ? null : 'other users can write to it';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** In a directory that others can write to, only the sticky bit keeps them from renaming ours (inode(7)). */
function parentRefusal(path: string, uid: number): string | null {
  try {
    const stat = statSync(path);
    if (!stat.isDirectory()) return `${path} is not a directory`;
    if (stat.uid !== 0 && stat.uid !== uid && !isUnmapped(stat.uid)) return `${path} belongs to uid ${stat.uid}`;
    return (stat.mode & 0o022) === 0 || (stat.mode & 0o1000) !== 0 ? null : `other users can rename what is in ${path}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** The real root, seen from a user namespace that does not map it (user_namespaces(7), overflowuid). */
function isUnmapped(uid: number): boolean {
  if (uid !== 65_534) return false;
  try {
    const ranges = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
    return !ranges.some((range) => {
      const [first = 0, , count = 0] = range.trim().split(/\s+/).map(Number);
      return uid >= first && uid < first + count;
    });
  } catch {
    // No user namespaces: this is the user "nobody".
    return false;
  }
}

function ownerOf(path: string): number | null {
  try {
    return lstatSync(path).uid;
  } catch {
    // Not there, or not to be seen: nobody sits on it.
    return null;
  }
}

function randomOnes(parent: string, prefix: string): string[] {
  try {
    return readdirSync(parent)
      .filter((name) => name.startsWith(prefix))
      .map((name) => join(parent, name));
  } catch {
    // A directory that can be searched, and not read.
    return [];
  }
}
