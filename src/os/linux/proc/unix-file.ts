/**
 * What stands at the path of a Unix socket, and whether this user could make a socket there.
 */
import { statfsSync, statSync } from 'node:fs';
import type { UnixFile } from '../../../model/facts.ts';
import { describePath } from '../../unix-path.ts';
import { hasLibc } from '../calls/libc.ts';
import { whoHasFile } from '../calls/unix-file-owner.ts';
import { attempt, openProc } from './proc.ts';

/** struct sockaddr_un without its family, and a NUL byte at the end (unix(7)). */
const maxPathBytes = 107;

/**
 * File systems by their number (linux/magic.h, statfs(2)). False: its directories make no sockets, so mknod(2) and bind(2) report EPERM.
 * Null: that depends on the program behind it.
 */
const fileSystems: Readonly<Record<number, readonly [name: string, holdsSockets: boolean | null]>> = {
  [0x6265_6572]: ['sysfs', false],
  [0x9fa0]: ['proc', false],
  [0x6367_7270]: ['cgroup2', false],
  [0x0027_e0eb]: ['cgroup', false],
  [0x6462_6720]: ['debugfs', false],
  [0x7472_6163]: ['tracefs', false],
  [0x7363_6673]: ['securityfs', false],
  [0x6265_6570]: ['configfs', false],
  [0xde5e_81e4]: ['efivarfs', false],
  [0x6165_676c]: ['pstore', false],
  [0xcafe_4a11]: ['bpf', false],
  [0x1980_0202]: ['mqueue', false],
  [0x4249_4e4d]: ['binfmt_misc', false],
  [0x6573_5543]: ['fusectl', false],
  [0x1cd1]: ['devpts', false],
  [0x4d44]: ['vfat', false],
  [0x2011_bab0]: ['exfat', false],
  [0x786f_4256]: ['vboxsf', false],
  [0x6573_5546]: ['fuse', null],
  [0x0102_1997]: ['9p', null],
  [0xff53_4d42]: ['cifs', null],
  [0xfe53_4d42]: ['smb2', null],
  [0xef53]: ['ext4', true],
  [0x5846_5342]: ['xfs', true],
  [0x9123_683e]: ['btrfs', true],
  [0x0102_1994]: ['tmpfs', true],
  [0x794c_7630]: ['overlay', true],
  [0x2fc1_2fc1]: ['zfs', true],
};

/** Null for an abstract name, which has no file. */
export function readUnixFile(asked: string): UnixFile | null {
  if (asked.startsWith('\0')) return null;
  return describePath(asked, {
    maxPathBytes,
    fileSystemOf,
    inUse: (path) => (hasLibc() ? whoHasFile(path).open : null),
  });
}

function fileSystemOf(directory: string): readonly [string | null, boolean | null] {
  try {
    // Some numbers have the highest bit, and come out negative where the field is signed.
    const [name, holds] = fileSystems[statfsSync(directory).type >>> 0] ?? [null, true];
    if (holds !== null) return [name, holds];
    const { number, type = name } = mountOf(directory);
    const onDisk = type === 'fuseblk' ? knownToUdev(number) : null;
    if (onDisk === 'exfat' || onDisk === 'vfat') return [onDisk, false];
    return [onDisk ?? type, type === 'virtiofs' ? true : null];
  } catch {
    // There is no such directory, which is what `errno` says then.
    return [null, null];
  }
}

/** The device, and the type as it is mounted: `fuse` has one number for all of its file systems (proc_pid_mountinfo(5)). */
function mountOf(directory: string): { readonly number: string; readonly type?: string } {
  const { dev } = statSync(directory);
  // makedev(3) of glibc, for numbers that fit into 32 bits.
  const number = `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
  const mounts = attempt(() => openProc('/proc').text('self/mountinfo', 4_194_304)) ?? '';
  const line = mounts.split('\n').find((each) => each.split(' ')[2] === number);
  const type = line === undefined ? undefined : / - (\S+)/.exec(line)?.[1];
  return { number, ...(type !== undefined && { type }) };
}

/** What is on the disk behind a file system that a program serves: `fuseblk` may be exFAT or NTFS. Null where udev does not run. */
function knownToUdev(number: string): string | null {
  return attempt(() => /^E:ID_FS_TYPE=(\w+)$/m.exec(openProc('/run/udev/data').text(`b${number}`))?.[1] ?? null);
}
