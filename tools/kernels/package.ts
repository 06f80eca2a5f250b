/** Kernels of Debian's, out of their packages: nothing is installed. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lacking, need, output } from './programs.ts';

export interface Kernel {
  /** As uname(2) says it. */
  readonly release: string;
  readonly image: string;
  /** The folder that has `lib/modules/RELEASE`. */
  readonly modulesIn: string;
}

/**
 * The newest kernel whose release begins with this version; kept in `work` for the next time.
 *
 * @throws {Lacking}
 */
export function fetchKernel(version: string, work: string): Kernel {
  if (process.arch !== 'x64') throw new Lacking('the virtual machines are x86-64 only');
  if (!/^\d+\.\d+[\w.+-]*$/.test(version)) throw new Lacking('not the version of a kernel, such as 6.1');
  const name = newestPackage(version);
  const folder = join(work, name);
  const complete = join(folder, 'complete');
  if (!existsSync(complete)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    output(need('apt-get', 'apt'), ['download', name], folder);
    const [file = ''] = readdirSync(folder);
    output(need('dpkg-deb', 'dpkg'), ['-x', file, '.'], folder);
    const modulesIn = existsSync(join(folder, 'lib')) ? folder : join(folder, 'usr');
    const busybox = need('busybox', 'busybox-static');
    // The modprobe of busybox does not unpack what newer packages have packed.
    const packed = readdirSync(modulesIn, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ko.xz'),
    );
    if (packed.length > 0) output(busybox, ['unxz', ...packed], modulesIn);
    // The table of what needs what is made when a package is installed.
    output(busybox, ['depmod', '-b', modulesIn, releaseIn(folder)]);
    rmSync(join(folder, file));
    writeFileSync(complete, '');
  }
  const release = releaseIn(folder);
  const modulesIn = existsSync(join(folder, 'lib')) ? folder : join(folder, 'usr');
  return { release, image: join(folder, `boot/vmlinuz-${release}`), modulesIn };
}

/** Those for clouds are small, and have what a virtual machine needs built in. */
function newestPackage(version: string): string {
  const pattern = `^linux-image-${version.replace(/[.+]/g, '\\$&')}[.+-].*cloud-amd64$`;
  const names = output(need('apt-cache', 'apt'), ['search', '--names-only', pattern])
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    // The names without the third number are only references to the newest.
    .filter((name) => /^linux-image-\d+\.\d+\.\d/.test(name))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  if (names[0] === undefined) throw new Lacking('apt has no such kernel for clouds; apt-get update may help');
  return names[0];
}

function releaseIn(folder: string): string {
  const image = readdirSync(join(folder, 'boot')).find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) throw new Lacking('its package has no kernel');
  return image.replace('vmlinuz-', '');
}
