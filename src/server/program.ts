/**
 * Is that process an older instance of this program? The question before a port is taken from it.
 */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { scriptOf } from '../model/command-words.ts';
import type { Holder } from '../model/facts.ts';
import type { Os } from '../os/os.ts';

/** What makes two processes instances of one program, apart from their user. */
export interface Program {
  readonly executable: string | null;
  /** The script that it runs, without links and without extension; null for none. */
  readonly script: string | null;
}

/** This process. */
export function thisProgram(): Program {
  const [, script] = process.argv;
  return { executable: process.execPath, script: script === undefined ? null : plain(process.cwd(), script) };
}

/** Another process, as far as it can be seen. */
export function programOf(os: Os, holder: Holder): Program {
  const script = scriptOf(holder.argv);
  return {
    executable: os.processes.executable(holder.pid),
    script: script?.kind !== 'file' || holder.cwd === null ? null : plain(holder.cwd, script.word),
  };
}

/** True when both are known and the same. A program without a script (a bundle in the executable) is its executable. */
export function isSameProgram(one: Program, other: Program): boolean {
  return one.executable !== null && one.executable === other.executable && one.script === other.script;
}

/** `server` and `./server.js` are one script: Node completes the name, and process.argv has the completed one only sometimes. */
function plain(cwd: string, script: string): string {
  const path = resolve(cwd, script);
  return real(path).replace(/\.[cm]?[jt]s$/, '');
}

function real(path: string): string {
  for (const end of ['', '.js', '.mjs', '.cjs', '/index.js']) {
    try {
      return realpathSync(path + end);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EACCES') throw error;
    }
  }
  return path;
}
