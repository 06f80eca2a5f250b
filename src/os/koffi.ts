/**
 * Loading koffi. Its JavaScript resolves several packages and reads the header of node before it loads its binary, which takes ten times as long
 * as loading it (9 ms and 1 ms, measured), and `rebind why` loads it in every run. So the binary is looked for first, where npm puts it,
 * and whatever is not as expected leaves the work to koffi itself.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type Koffi = typeof import('koffi');

/** The version of koffi's interface that the declarations are written for. */
const interfaceVersion = '3.';

/** Where the binary lies, by system and architecture: for glibc on Linux; others, and musl, are koffi's own business. */
const binaries: ReadonlySet<string> = new Set(['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']);

/** @throws {Error} when neither way leads to a binary for this platform. */
export function loadKoffi(): Koffi {
  return prebuilt() ?? (process.getBuiltinModule('node:module').createRequire(import.meta.url)('koffi') as Koffi);
}

function prebuilt(): Koffi | null {
  const target = `${process.platform}-${process.arch}`;
  if (!binaries.has(target)) return null;
  const inside = join('node_modules/@koromix', `koffi-${target}`, target.replace('-', '_'), 'koffi.node');
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    const file = join(at, inside);
    if (existsSync(file)) return open(file);
    if (at === dirname(at)) return null;
  }
}

function open(file: string): Koffi | null {
  const module: { exports: Partial<Koffi> } = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch {
    // Not for this C library, for one. Koffi tries its other binaries, and its error says more.
    return null;
  }
  const { exports } = module;
  return exports.version?.startsWith(interfaceVersion) && exports.load !== undefined ? (exports as Koffi) : null;
}
