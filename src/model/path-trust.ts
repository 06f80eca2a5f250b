/**
 * May something be removed at a path? Not where another user could lead the path elsewhere between the look and the removal. Pure.
 */

/** One directory or link that the path leads through, and who may change it. */
interface Step {
  readonly kind: 'directory' | 'link';
  readonly path: string;
  /** Null for a user of the outer user namespace, which is no less privileged. */
  readonly uid: number | null;
  readonly gid: number;
  readonly mode: number;
}

const stickyBit = 0o1000;
const groupWrites = 0o020;
const othersWrite = 0o002;

/**
 * Why nothing is removed behind this step, without a full stop; null when only the asker and root can change where it leads.
 * In a sticky directory everybody renames only what is their own (inode(7)), so what is in it is judged by its own owner.
 */
export function pathObjection(step: Step, asker: { readonly uid: number }): string | null {
  const { kind, path, uid, gid, mode } = step;
  const trusted = uid === null || uid === 0 || uid === asker.uid;
  if (kind === 'link') return trusted ? null : `${path} is a link of user ${uid}, who can change where it leads`;
  if (!trusted)
    return `user ${uid} owns the directory ${path} and could put another file in its place: do it as that user`;
  if ((mode & stickyBit) !== 0) return null;
  if ((mode & othersWrite) !== 0)
    return `every user may write in ${path} and could put another file in its place: remove it by hand`;
  // A group that only root is in is as good as none; to an ordinary user the members of their group are no strangers.
  if ((mode & groupWrites) !== 0 && asker.uid === 0 && gid !== 0)
    return `group ${gid} may write in ${path} and could put another file in its place: do it as one of its users`;
  return null;
}
