/**
 * Files of Unix sockets, reached through directories that are held open: nobody can put another directory in their place meanwhile.
 */

/** One directory or link that a path leads through. */
export interface PathStep {
  readonly kind: 'directory' | 'link';
  readonly path: string;
  /** The owner; null for a user that this user namespace does not map, who is outside of it and no less privileged. */
  readonly uid: number | null;
  readonly gid: number;
  /** Permission bits with the sticky one (inode(7)). */
  readonly mode: number;
}

/** What an entry of a directory is. */
export interface FileIdentity {
  readonly isSocket: boolean;
  readonly device: string;
  readonly inode: string;
}

/** An open directory. Its entries are named without a path. The caller closes it. */
export interface Directory extends Disposable {
  /** The last part of the path that it was opened for. */
  readonly name: string;
  /** The entry itself, never what a link leads to; null when there is none. @throws {NativeError} */
  identify(entry: string): FileIdentity | null;
  /**
   * Whether a process, in whatever namespace, has the socket of this file open. Its server does not notice the question.
   * Null when it cannot be told, with the errno name.
   */
  isOpen(
    entry: string,
  ): { readonly open: true } | { readonly open: false } | { readonly open: null; readonly why: string };
  /** False when `to` exists. @throws {NativeError} */
  rename(from: string, to: string): boolean;
  /** A second name for the same file; false when `to` exists. @throws {NativeError} */
  link(from: string, to: string): boolean;
  /** @throws {NativeError} */
  remove(entry: string): void;
  close(): void;
}

export interface Files {
  /**
   * Opens the directory of a path, one part after the other.
   *
   * @param objection Asked about every directory and link on the way before anything behind it is looked at; a text refuses the path.
   * @returns The directory, or why there is none: the objection, or an errno name.
   */
  openDirectory(path: string, objection: (step: PathStep) => string | null): Directory | { readonly why: string };
}
