/**
 * A network and process namespace of one's own: ports, settings and processes that nobody else has, without any privilege.
 * When its first process ends, the kernel ends all others in it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { littleEndian } from '../os/byte-order.ts';
import { NativeError } from '../os/errors.ts';
import { check, libc } from '../os/linux/calls/libc.ts';

/** Set in the environment of what runs in a namespace that this module made. */
const mark = 'REBIND_STAGE_NAMESPACE';

// include/uapi/linux/netlink.h, rtnetlink.h, if.h
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const RTM_NEWLINK = 16;
const IFF_UP = 1;
const loopbackIndex = 1;

/**
 * What to put before a command so that it runs in a namespace of its own, or null where this machine does not allow it.
 * Root keeps all users; an ordinary user becomes the only user of the namespace, with all rights in it.
 *
 * @example
 * ```ts
 * spawn(prefix[0], [...prefix.slice(1), process.execPath, 'program.js'], { env: namespaceEnvironment() });
 * ```
 */
export function namespaceCommand(): readonly string[] | null {
  const flags = hasEveryUser() ? '-pfn' : '-Urpfn';
  const unshare = ['unshare', flags, '--mount-proc', '--kill-child'];
  const tried = spawnSync('unshare', [...unshare.slice(1), 'true'], { stdio: 'ignore' });
  // A shell in front as the first process: it collects orphans that end, which Node would leave as zombies.
  return tried.status === 0 ? [...unshare, 'sh', '-c', '"$@"; exit $?', 'sh'] : null;
}

/** The environment for what `namespaceCommand` starts. */
export function namespaceEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, [mark]: '1' };
}

/** True in a process that runs in a namespace made by `namespaceCommand`. */
export function insideNamespace(): boolean {
  return process.env[mark] === '1';
}

/** True when this is root with every user of the machine, and not the single user of a user namespace. */
export function hasEveryUser(): boolean {
  if (process.getuid?.() !== 0) return false;
  return readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2] === '4294967295';
}

/**
 * Raises `lo`, which is down in a new network namespace; the kernel then gives it 127.0.0.1 and ::1.
 *
 * @throws {NativeError} when this process may not.
 */
export function raiseLoopback(): void {
  const fd = check('socket', libc().socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  try {
    // struct nlmsghdr (16 bytes), struct ifinfomsg (16 bytes)
    const message = Buffer.alloc(32);
    const words = new Uint32Array(message.buffer, message.byteOffset, 8);
    const halves = new Uint16Array(message.buffer, message.byteOffset, 16);
    words[0] = message.length;
    halves[2] = RTM_NEWLINK;
    halves[3] = NLM_F_REQUEST | NLM_F_ACK;
    words[5] = loopbackIndex;
    words[6] = IFF_UP;
    words[7] = IFF_UP;
    check('sendto', libc().sendto(fd, message, message.length, 0, null, 0));
    const answer = Buffer.alloc(4096);
    check('recv', libc().recv(fd, answer, answer.length, 0));
    const view = new DataView(answer.buffer, answer.byteOffset);
    const error = view.getInt32(16, littleEndian);
    if (view.getUint16(4, littleEndian) !== NLMSG_ERROR || error !== 0) throw new NativeError('RTM_NEWLINK', -error);
  } finally {
    libc().close(fd);
  }
}
