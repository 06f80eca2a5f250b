/**
 * Running somebody else's program: found where nobody else could have put it, without a shell, in an environment of our own, with an end,
 * its complaint kept.
 */
import { accessSync, closeSync, constants, openSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { Readable } from 'node:stream';

export interface CommandResult {
  /** Null when it could not be started, or was ended by a signal. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it did not finish by itself, or null. */
  readonly failure: string | null;
}

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The user to run it as, which takes root. @default ourselves */
  readonly uid?: number | null;
}

/** More than any of these programs prints about one thing. */
const mostOutput = 4 * 1024 * 1024;
/** What a program printed last is read in this time; whatever it left running may keep its output open for ever. */
const lastWordsMs = 200;
/** setTimeout counts in 31 bits, and takes more for nothing at all. */
const longestTimeoutMs = 2 ** 31 - 1;

/** Two pipes to the program, and one of libuv's that tells whether it started, with some to spare for other threads. */
const descriptorsOfChild = 8;

/** Where the caller's own managers are; nothing else of the environment is handed on. */
const kept = ['HOME', 'XDG_RUNTIME_DIR', 'DOCKER_HOST', 'DOCKER_CONTEXT', 'CONTAINER_HOST'] as const;

/** Runs a program of the PATH to its end. Rejects only with the signal's reason. @param name Its name, without a folder. */
export function runCommand(name: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const failed = (failure: string): Promise<CommandResult> =>
    Promise.resolve({ status: null, stdout: '', stderr: '', failure });
  const file = findProgram(name);
  if (!hasDescriptors(descriptorsOfChild)) return failed('it could not be started: EMFILE');
  const uid = options.uid ?? null;
  const account = uid === null ? null : accountOf(uid);
  if (file === null) return failed(`there is no ${name} on the PATH that only root and this user can change`);
  if (uid !== null && account === null) return failed(`user ${uid} has no account`);
  const { spawn } = process.getBuiltinModule('node:child_process');
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    const child = spawn(file, args, {
      // The current directory may be one that the program cannot read, or somebody else's.
      cwd: '/',
      env: environment(uid, account?.home ?? null),
      stdio: ['ignore', 'pipe', 'pipe'],
      // libuv drops the groups of root with the user (uv__process_child_init).
      ...(uid !== null && account !== null && { uid, gid: account.gid }),
    });
    const output = { stdout: '', stderr: '' };
    let failure: string | null = null;
    const timeoutMs = Math.min(options.timeoutMs, longestTimeoutMs);
    let timer = setTimeout(() => {
      failure = `it did not finish within ${timeoutMs / 1000} s`;
      child.kill('SIGKILL');
    }, timeoutMs);
    const abort = (): void => {
      child.kill('SIGTERM');
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    child.on('error', (error: NodeJS.ErrnoException) => {
      failure = `it could not be started: ${error.code ?? error.message}`;
      // Node makes no streams for what it could not start, and then no 'close' follows.
      if (child.pid === undefined) end(null);
    });
    for (const stream of ['stdout', 'stderr'] as const) {
      // Undefined, against its type, when there was no descriptor for it.
      (child[stream] as Readable | undefined)?.setEncoding('utf8').on('data', (text: string) => {
        if (output[stream].length < mostOutput) output[stream] += text;
      });
    }
    child.on('exit', () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, lastWordsMs);
    });
    child.on('close', end);
    function end(status: number | null): void {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      if (options.signal?.aborted) reject(options.signal.reason);
      else resolve({ status, ...output, failure });
    }
  });
}

/** True when this process can open as many. Node never closes the pipes of a child that it found no descriptor to start with (EMFILE). */
function hasDescriptors(count: number): boolean {
  const open: number[] = [];
  try {
    while (open.length < count) open.push(openSync(process.getBuiltinModule('node:os').devNull, 'r'));
    return true;
  } catch {
    return false;
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/** Where a program is on the PATH, or null. Only where nobody but root and this user could have put it, or can put another in its place. */
export function findProgram(name: string): string | null {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new TypeError(`${name} is not the name of a program`);
  for (const folder of trustedFolders()) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      const real = realpathSync(path);
      const file = statSync(real);
      if (file.isFile() && isOurs(file) && isGuarded(dirname(real))) return path;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }
  return null;
}

/** The entries of the PATH that are absolute and guarded: an empty or relative one means the current directory, which may be anybody's. */
function trustedFolders(): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder) && isGuarded(folder));
}

/** True when no other user than root can change what is in this folder, or put another in its place. */
function isGuarded(folder: string): boolean {
  try {
    for (const path of new Set([folder, realpathSync(folder)])) {
      for (let at = path; ; at = dirname(at)) {
        if (!isOurs(statSync(at))) return false;
        if (at === dirname(at)) break;
      }
    }
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return false;
  }
}

const sticky = 0o1000;
const groupWrites = 0o020;
const othersWrite = 0o002;

/** In a folder with the sticky bit nobody renames or removes what is somebody else's (inode(7)), and what is ours is looked at next. */
function isOurs(file: Stats): boolean {
  const own = process.geteuid?.() ?? 0;
  if (file.uid !== 0 && file.uid !== own) return false;
  if (file.isDirectory() && (file.mode & sticky) !== 0) return true;
  if ((file.mode & othersWrite) !== 0) return false;
  // A group that only this user is in has the number of the user (user private groups of Debian and Red Hat).
  return (file.mode & groupWrites) === 0 || file.gid === 0 || (file.uid === own && file.gid === own);
}

function environment(uid: number | null, home: string | null): NodeJS.ProcessEnv {
  const base = { PATH: trustedFolders().join(delimiter), LC_ALL: 'C.UTF-8' };
  if (uid !== null) return { ...base, ...(home !== null && { HOME: home }), XDG_RUNTIME_DIR: `/run/user/${uid}` };
  return {
    ...base,
    ...Object.fromEntries(kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
  };
}

/** Group and home of a user (passwd(5)), or null. */
function accountOf(uid: number): { readonly gid: number; readonly home: string } | null {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [, , user, gid, , home] = line.split(':');
    if (user === String(uid) && gid !== undefined && /^\d+$/.test(gid) && home !== undefined)
      return { gid: Number(gid), home };
  }
  return null;
}
