#!/usr/bin/env node
/**
 * The file that `rebind` starts. The commands used most run from compiled code that an earlier run kept: compiling takes half of the
 * time besides Node's own start, and Node keeps compiled code only from version 22 on, and not for the first file of a program.
 * The other commands are loaded as modules: `hold` runs for months and loads nothing that it does not need.
 *
 * V8 runs kept code without a check, so the code is kept for one user below ~/.cache (XDG Base Directory Specification), and read only
 * from a folder and a file that this user owns and nobody else may write. NODE_DISABLE_COMPILE_CACHE=1 turns it off, as in Node.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Script } from 'node:vm';
import { exit } from './exit.ts';
import { firstWordAt } from './first-word.ts';

// The build writes these here, and makes a CommonJS file of this one.
/** What the text of the command hashes to. V8 compares nothing but the length. */
declare const commandHash: string;
/** The commands that are not in it. */
declare const otherCommands: readonly string[];
declare const version: string;
declare const __dirname: string;
declare const require: NodeJS.Require;

type Command = typeof import('./main.ts');

const program = `${process.version}-${process.arch}-`;
const oldAfterMs = 30 * 24 * 3_600_000;

/** Each command needs other parts of the code. */
const keptFor = ['why', 'ls', 'free', 'wait', 'reach'];

const words = process.argv.slice(2);
const word = words[firstWordAt(words)] ?? '';
if (words.length === 1 && (word === '' ? ['--version', '-V'].includes(words[0] ?? '') : word === 'version'))
  tellVersion();
else if (otherCommands.includes(word)) import('./main.ts').catch(leaveUnloaded);
else runCompiled(keptFor.includes(word) ? word : 'why');

/** At the limit of descriptors, for one: Node would exit with 1, which says "blocked". */
function leaveUnloaded({ code = 'its files are damaged' }: NodeJS.ErrnoException): void {
  process.exitCode = exit.unknown;
  writeSync(2, `rebind: It cannot be loaded: ${code}\n`);
}

function tellVersion(): void {
  try {
    writeSync(1, `${version}\n`);
  } catch {
    // A pipe that does not block and is full, or nobody reads it: Node's stream waits, or reports.
    process.stdout.on('error', () => {}).write(`${version}\n`);
  }
}

/** Compiled code that was kept. */
interface Kept {
  readonly code: Buffer;
  /** True when it was kept after an answer that needed most of the code, such as why a port is blocked. */
  readonly whole: boolean;
}

function runCompiled(command: string): void {
  const name = `${program}${commandHash}-${command}`;
  const source = join(__dirname, 'command.cjs');
  const base = baseFolder();
  const folder = base === null ? null : join(base, 'rebind');
  const kept = folder === null ? null : readKept(join(folder, name));
  const { Script } = process.getBuiltinModule('node:vm');
  // The file is one function, in ASCII, which V8 takes as it is.
  const script = new Script(readFileSync(source, 'latin1'), { filename: source, cachedData: kept?.code });
  const module: { exports: Partial<Command> } = { exports: {} };
  script.runInThisContext()(module.exports, require, module, source, __dirname);
  const accepted = kept !== null && !script.cachedDataRejected;
  module.exports.ran?.then((ran) => {
    // After a whole answer, so that everything an answer needs is compiled.
    if (base !== null && folder !== null && ran?.command === command && !(accepted && (kept.whole || !ran.whole)))
      keep(base, folder, name, script, ran.whole);
    ran?.leave();
  });
}

/** Null where there is no such folder, or no users that own one. */
function baseFolder(): string | null {
  const { NODE_DISABLE_COMPILE_CACHE, XDG_CACHE_HOME, HOME } = process.env;
  if (NODE_DISABLE_COMPILE_CACHE || process.geteuid?.() !== process.getuid?.() || process.geteuid === undefined)
    return null;
  if (XDG_CACHE_HOME?.startsWith('/')) return XDG_CACHE_HOME;
  return HOME?.startsWith('/') ? join(HOME, '.cache') : null;
}

function isOurs({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

function readKept(path: string): Kept | null {
  try {
    if (!isOurs(lstatSync(dirname(path)))) return null;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(fd);
      return stats.isFile() && isOurs(stats) ? unpacked(readFileSync(fd)) : null;
    } finally {
      closeSync(fd);
    }
  } catch {
    // The first run of this version, or a folder that we may not read: compiling always works.
    return null;
  }
}

function keep(within: string, to: string, name: string, script: Script, whole: boolean): void {
  try {
    for (const each of [within, to]) makeFolder(each);
    if (!isOurs(lstatSync(to))) return;
    for (const old of readdirSync(to)) removeOld(join(to, old));
    writeWhole(join(to, name), packed(script.createCachedData(), whole));
  } catch {
    // A full disk, a read-only file system, no home: the next run compiles again.
  }
}

/**
 * The code twice, and a byte: V8 itself looks at nothing but the length and its own version, and runs damaged code until it crashes.
 * Comparing the halves finds what a checksum would, and a checksum of Node's loads its streams with it.
 */
function packed(code: Buffer, whole: boolean): Buffer {
  return Buffer.concat([code, code, Buffer.of(whole ? 1 : 0)]);
}

function unpacked(bytes: Buffer): Kept | null {
  const size = (bytes.length - 1) / 2;
  const code = bytes.subarray(0, size);
  if (!Number.isInteger(size) || size === 0 || !code.equals(bytes.subarray(size, 2 * size))) return null;
  return { code, whole: bytes[2 * size] === 1 };
}

/** Of another version, of Node or of rebind, that was neither read (as far as the file system notes it) nor written for long. */
function removeOld(path: string): void {
  const stats = lstatSync(path);
  if (stats.isFile() && Date.now() - Math.max(stats.atimeMs, stats.mtimeMs) > oldAfterMs) rmSync(path);
}

/** Below a home that is not ours (sudo), a folder of ours would only be in the way. */
function makeFolder(path: string): void {
  try {
    if (statSync(dirname(path)).uid === process.geteuid?.()) mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Whole or not at all: another run may read it now. */
function writeWhole(path: string, bytes: Buffer): void {
  const unfinished = `${path}.${process.pid}`;
  try {
    writeFileSync(unfinished, bytes, { flag: 'wx', mode: 0o600 });
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}
