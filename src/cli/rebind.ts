#!/usr/bin/env node
/**
 * The file that `rebind` starts. What is asked most runs from the compiled code that an earlier run kept: compiling is half of what
 * it takes besides Node's own start, and Node keeps compiled code by itself only from version 22 on, and not of a program's first
 * file. The other commands are loaded as modules: `hold` runs for months, and loads nothing that it does not need.
 *
 * V8 runs such code unseen, so it is kept for one user below ~/.cache (XDG Base Directory Specification), and read only from a
 * folder and a file that are his and that nobody else may write to. NODE_DISABLE_COMPILE_CACHE=1 turns it off, as it does in Node.
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
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';
import { firstWordAt } from './first-word.ts';

/** What the text of the command hashes to; the build writes it here. V8 compares nothing but the length. */
declare const commandHash: string;
/** The commands that are not in it. */
declare const otherCommands: readonly string[];

type Command = typeof import('./main.ts');

const program = `${process.version}-${process.arch}-`;
const checksumSize = 4;
const oldAfterMs = 30 * 24 * 3_600_000;

/** Each of them needs other parts of it. */
const keptFor = ['why', 'ls', 'free', 'wait'];

const words = process.argv.slice(2);
const word = words[firstWordAt(words)] ?? '';
if (otherCommands.includes(word)) void import('./main.ts');
else runCompiled(keptFor.includes(word) ? word : 'why');

function runCompiled(command: string): void {
  const name = `${program}${commandHash}-${command}`;
  const source = fileURLToPath(new URL('command.cjs', import.meta.url));
  const base = baseFolder();
  const folder = base === null ? null : join(base, 'rebind');
  const kept = folder === null ? undefined : readKept(join(folder, name));
  const script = new vm.Script(
    `(function (exports, require, module, __filename, __dirname) {${readFileSync(source, 'utf8')}\n})`,
    { filename: source, cachedData: kept },
  );
  const module: { exports: Partial<Command> } = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(source), module, source, dirname(source));
  if (base === null || folder === null || (kept !== undefined && !script.cachedDataRejected)) return;
  // After a whole answer, so that all that an answer needs is compiled.
  module.exports.ran?.then((ran) => {
    if (ran === command) keep(base, folder, name, script);
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

function readKept(path: string): Buffer | undefined {
  try {
    if (!isOurs(lstatSync(dirname(path)))) return undefined;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile() || !isOurs(stats)) return undefined;
      const bytes = readFileSync(fd);
      const code = bytes.subarray(checksumSize);
      return checksumOf(code).equals(bytes.subarray(0, checksumSize)) ? code : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    // The first run of this version, or a folder that we may not read: compiling always works.
    return undefined;
  }
}

function keep(within: string, to: string, name: string, script: vm.Script): void {
  try {
    for (const each of [within, to]) makeFolder(each);
    if (!isOurs(lstatSync(to))) return;
    for (const old of readdirSync(to)) removeOld(join(to, old));
    const code = script.createCachedData();
    writeWhole(join(to, name), Buffer.concat([checksumOf(code), code]));
  } catch {
    // A full disk, a read-only file system, no home: the next run compiles again.
  }
}

/** V8 itself looks at nothing but the length and its own version, and runs damaged code until it crashes. */
function checksumOf(code: Buffer): Buffer {
  const checksum = Buffer.alloc(checksumSize);
  checksum.writeUInt32LE(crc32(code));
  return checksum;
}

/** Of another version, of Node or of rebind, that was not used for long. */
function removeOld(path: string): void {
  const stats = lstatSync(path);
  if (stats.isFile() && Date.now() - stats.mtimeMs > oldAfterMs) rmSync(path);
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
