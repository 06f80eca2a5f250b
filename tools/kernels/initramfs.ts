/**
 * The file system of the virtual machines: programs and this checkout, each at the path that it has here, and the kernel's
 * modules. The kernel reads archives of cpio(5), one after the other.
 */

import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Kernel } from './package.ts';
import { Lacking, need } from './programs.ts';

/** Of the checkout: what the tests need to run. */
const ours = ['package.json', 'build', 'dist', 'node_modules/koffi', 'node_modules/@koromix'];
/** util-linux has options that the same commands of busybox lack. */
const utilLinux = ['unshare', 'setpriv'];
/** Where the tests look for programs. */
const folders = ['/bin', '/sbin', '/usr/bin', '/usr/sbin'];

/**
 * Packs everything but the modules. `init` is the first program that runs.
 *
 * @throws {Lacking}
 */
export function packPrograms(checkout: string, init: string): Buffer {
  const programs = [
    process.execPath,
    need('busybox', 'busybox-static'),
    ...utilLinux.map((name) => need(name, 'util-linux')),
  ];
  const files = ours.flatMap((name) => tree(join(checkout, name), (path) => path !== dirname(init)));
  const linked = [...programs, ...files.filter((path) => path.endsWith('.node'))].flatMap(libraries);
  return pack('/', withParents([...folders, ...programs, ...linked, ...files, init]));
}

/** Sockets of every kind, and the devices that the tests make. */
export function packModules({ release, modulesIn }: Kernel): Buffer {
  const modules = `lib/modules/${release}`;
  const parts = readdirSync(join(modulesIn, modules)).filter((name) => name.startsWith('modules.'));
  const files = [...parts, 'kernel/net', 'kernel/drivers/net'].flatMap((name) => tree(join(modulesIn, modules, name)));
  // Not `lib` itself: that is a link there.
  const above = ['lib/modules', modules, ...['kernel', 'kernel/drivers'].map((name) => join(modules, name))];
  return pack(modulesIn, [...above, ...files.map((path) => path.slice(modulesIn.length + 1))]);
}

function pack(cwd: string, paths: readonly string[]): Buffer {
  const busybox = need('busybox', 'busybox-static');
  const { status, stdout, stderr } = spawnSync(busybox, ['cpio', '-o', '-H', 'newc'], {
    cwd,
    input: `${paths.join('\n')}\n`,
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Lacking(`busybox cpio failed: ${stderr.toString().trim()}`);
  return stdout;
}

/** A file, or a folder and all that is in it. */
function tree(path: string, wanted: (path: string) => boolean = () => true): string[] {
  if (!wanted(path)) return [];
  if (!lstatSync(path).isDirectory()) return [path];
  return [path, ...readdirSync(path).flatMap((name) => tree(join(path, name), wanted))];
}

/** What the dynamic loader needs for a program; nothing for one that is static. */
function libraries(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map(([, path = '']) => path);
}

/** Every folder and link on the way to these absolute paths, in an order in which they can be made; without the first slash. */
function withParents(paths: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (path: string): string => {
    if (path === '/') return path;
    const parent = visit(dirname(path));
    const real = join(parent, path.slice(path.lastIndexOf('/') + 1));
    found.add(real.slice(1));
    return lstatSync(real).isSymbolicLink() ? visit(resolve(parent, readlinkSync(real))) : real;
  };
  for (const path of paths) visit(path);
  return [...found];
}
