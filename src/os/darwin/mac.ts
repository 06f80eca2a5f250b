/**
 * The machine that is read: libSystem, the release of its kernel, and the programs of the system for what libSystem cannot tell. Tests
 * bring their own.
 */
import type { Settings } from '../../model/facts.ts';
import { isUnsupportedError, type UnsupportedError } from '../errors.ts';
import { type LibSystem, libSystem } from './lib-system.ts';
import { type Ran, run } from './text/run.ts';

export interface Mac {
  /** @throws {UnsupportedError} where it cannot be loaded. */
  lib(): LibSystem;
  /** Such as `24.5.0`. */
  readonly kernel: string;
  /** The major version of Darwin: 24 is macOS 15, 25 is macOS 26. */
  readonly darwin: number;
  /** The user who asks. */
  uid(): number;
  /** The addresses, and whether there is IPv6: what Node alone tells. Null takes Node's word. */
  readonly settings: (() => Settings) | null;
  run(program: '/usr/sbin/lsof' | '/usr/sbin/netstat' | '/bin/ps', args: readonly string[]): Ran;
}

/** This machine. */
export const thisMac: Mac = machine(process.getBuiltinModule('node:os').release(), libSystem, run);

export function machine(
  kernel: string,
  lib: Mac['lib'],
  runs: Mac['run'],
  uid: Mac['uid'] = () => process.geteuid?.() ?? 0,
  settings: Mac['settings'] = null,
): Mac {
  return { lib, kernel, darwin: Number.parseInt(kernel, 10) || 0, run: runs, uid, settings };
}

/** Why libSystem cannot be called, or null. */
export function whyNoLib(mac: Mac): UnsupportedError | null {
  try {
    mac.lib();
    return null;
  } catch (error) {
    if (isUnsupportedError(error)) return error;
    throw error;
  }
}
