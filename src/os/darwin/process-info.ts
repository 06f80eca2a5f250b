/**
 * One process, as the kernel describes it: proc_pidinfo(3), KERN_PROC_PID and KERN_PROCARGS2.
 */

import { isNativeError } from '../errors.ts';
import { isRefused, type Refused, structureOf, sysctlBytes } from './asking.ts';
import { LayoutError, textIn } from './layout.ts';
import { kinfoProc, procBsdshortinfo, procUniqidentifierinfo, procVnodepathinfo } from './layouts.ts';
import type { LibSystem } from './lib-system.ts';
import {
  CTL_KERN,
  KERN_PROC,
  KERN_PROC_PID,
  KERN_PROCARGS2,
  P_TRACED,
  PROC_PIDPATHINFO_MAXSIZE,
  PROC_PIDT_SHORTBSDINFO,
  PROC_PIDUNIQIDENTIFIERINFO,
  PROC_PIDVNODEPATHINFO,
  SRUN,
  SSLEEP,
  SSTOP,
  SZOMB,
} from './numbers.ts';

/** What everybody may know of a process. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  readonly group: number;
  /** At most 15 bytes. */
  readonly command: string;
  readonly startedAtMs: number;
  /** As proc_pid_stat(5) of Linux writes it. */
  readonly state: 'R' | 'S' | 'T' | 't' | 'Z';
  readonly isTraced: boolean;
  /** The device of its terminal; null without one. */
  readonly terminal: number | null;
  readonly foreground: number;
}

/** Which process, and which program of it. */
export interface ProcessVersion {
  /** A number that no other process has until reboot; a process keeps it over exec(2). */
  readonly uniqueId: bigint;
  /** New at each fork(2) and exec(2). */
  readonly version: number;
}

/** NODEV: it has no terminal. */
const noDevice = -1;

/** The kernel's table of processes is open to everybody. Null when there is no such process. @throws {LayoutError} */
export function processFacts(lib: LibSystem, darwin: number, pid: number): ProcessFacts | null {
  const layout = kinfoProc.of(darwin);
  let bytes: Buffer;
  try {
    bytes = sysctlBytes(lib, [CTL_KERN, KERN_PROC, KERN_PROC_PID, pid]);
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  }
  if (bytes.length === 0) return null;
  if (bytes.length !== layout.size)
    throw new LayoutError(`kinfo_proc has ${layout.size} bytes, and the kernel gave ${bytes.length}`);
  return decodeKinfo(bytes, darwin);
}

/** @throws {LayoutError} */
export function decodeKinfo(bytes: Buffer, darwin: number): ProcessFacts {
  const one = kinfoProc.of(darwin).read(bytes);
  const isTraced = (one.p_flag & P_TRACED) !== 0;
  return {
    pid: one.p_pid,
    parent: one.e_ppid,
    uid: one.cr_uid,
    group: one.e_pgid,
    command: textIn(one.p_comm),
    startedAtMs: Number(one.tv_sec & 0xffffffffffffn) * 1_000 + Math.floor(one.tv_usec / 1_000),
    state: stateOf(one.p_stat, isTraced),
    isTraced,
    terminal: one.e_tdev === noDevice ? null : one.e_tdev,
    foreground: one.e_tpgid,
  };
}

function stateOf(status: number, isTraced: boolean): ProcessFacts['state'] {
  if (status === SSTOP) return isTraced ? 't' : 'T';
  if (status === SZOMB) return 'Z';
  return status === SRUN || status === SSLEEP ? 'S' : 'R';
}

/** Its parent and user, which everybody may know, without the rest; null when there is no such process. @throws {LayoutError} */
export function parentAndUser(
  lib: LibSystem,
  darwin: number,
  pid: number,
): { readonly parent: number; readonly uid: number; readonly group: number } | null {
  const info = structureOf(lib, procBsdshortinfo.of(darwin), (buffer, size) =>
    lib.proc_pidinfo(pid, PROC_PIDT_SHORTBSDINFO, 0n, buffer, size),
  );
  if (isRefused(info)) return null;
  return { parent: info.pbsi_ppid, uid: info.pbsi_uid, group: info.pbsi_pgid };
}

/** Null when there is no such process. A zombie has one still. @throws {LayoutError} */
export function processVersion(lib: LibSystem, darwin: number, pid: number): ProcessVersion | null {
  const info = structureOf(lib, procUniqidentifierinfo.of(darwin), (buffer, size) =>
    lib.proc_pidinfo(pid, PROC_PIDUNIQIDENTIFIERINFO, 0n, buffer, size),
  );
  return isRefused(info) ? null : { uniqueId: info.p_uniqueid, version: info.p_idversion };
}

/** The program's file; null when it is gone, or was removed. */
export function executableOf(lib: LibSystem, pid: number): string | null {
  const buffer = Buffer.alloc(PROC_PIDPATHINFO_MAXSIZE);
  const length = lib.proc_pidpath(pid, buffer, buffer.length);
  return length > 0 ? textIn(buffer.subarray(0, Math.min(length, buffer.length))) : null;
}

/** Of one's own processes, or as root. @throws {LayoutError} */
export function workingDirectory(lib: LibSystem, darwin: number, pid: number): string | null {
  const info = structureOf(lib, procVnodepathinfo.of(darwin), (buffer, size) =>
    lib.proc_pidinfo(pid, PROC_PIDVNODEPATHINFO, 0n, buffer, size),
  );
  return isRefused(info) ? null : textIn(info.vip_path) || null;
}

/** What a program was started with. */
export interface ProcessArguments {
  readonly path: string;
  readonly argv: readonly string[];
  /** Empty for programs of the system, whose environment is withheld. */
  readonly environment: readonly string[];
}

/** Of one's own processes, or as root. EINVAL stands for all that may not be seen. */
export function processArguments(lib: LibSystem, pid: number): ProcessArguments | Refused {
  try {
    return decodeProcArgs(sysctlBytes(lib, [CTL_KERN, KERN_PROCARGS2, pid]));
  } catch (error) {
    if (isNativeError(error)) return { why: error.code };
    throw error;
  }
}

/** More arguments than a command line can hold are no arguments. */
const mostArguments = 262_144;
/** Cut after as much as on Linux. */
const mostArgumentBytes = 65_536;

/** int argc, the path of the program, NUL bytes up to a multiple of 8, then argc arguments and the environment, each ended by a NUL byte. */
export function decodeProcArgs(bytes: Buffer): ProcessArguments {
  const none = { path: '', argv: [], environment: [] };
  if (bytes.length < 4) return none;
  const count = Math.min(Math.max(0, bytes.readInt32LE(0)), mostArguments);
  const pathEnd = bytes.indexOf(0, 4);
  if (pathEnd < 0) return { ...none, path: bytes.toString('utf8', 4) };
  const path = bytes.toString('utf8', 4, pathEnd);
  let at = pathEnd;
  while (at < bytes.length && bytes[at] === 0) at++;
  const strings: string[] = [];
  let used = 0;
  while (at < bytes.length) {
    const found = bytes.indexOf(0, at);
    const end = found < 0 ? bytes.length : found;
    if (strings.length >= count && end === at) break;
    used += end - at;
    if (strings.length < count && used > mostArgumentBytes) {
      strings.push(bytes.toString('utf8', at, Math.max(at, end - (used - mostArgumentBytes))));
      return { path, argv: strings, environment: [] };
    }
    strings.push(bytes.toString('utf8', at, end));
    at = end + 1;
  }
  return { path, argv: strings.slice(0, count), environment: strings.slice(count) };
}
