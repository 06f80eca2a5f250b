/**
 * Landlock (landlock(7)): a program takes rights from itself and from what it starts. Used by stages only: /proc shows nothing of it.
 */
import { littleEndian } from '../../byte-order.ts';
import { loadKoffi } from '../../koffi.ts';
import { check, libc } from './libc.ts';
import { callNumber } from './numbers.ts';

// include/uapi/linux/landlock.h, prctl.h
const LANDLOCK_CREATE_RULESET_VERSION = 1;
const LANDLOCK_ACCESS_NET_CONNECT_TCP = 2n;
const PR_SET_NO_NEW_PRIVS = 38;
/** The first version that knows the network (Linux 6.7). */
const networkVersion = 4;

/** True where the kernel can refuse TCP connections this way. */
export function hasNetworkLandlock(): boolean {
  const { create } = calls();
  return create(callNumber('landlock_create_ruleset'), null, 0, LANDLOCK_CREATE_RULESET_VERSION) >= networkVersion;
}

/** Refuses every TCP connect of this thread, and of the processes that it starts, from now on. @throws {NativeError} */
export function refuseTcpConnect(): void {
  const { create, restrict } = calls();
  // struct landlock_ruleset_attr { __u64 handled_access_fs, handled_access_net; }
  const attributes = Buffer.alloc(16);
  new DataView(attributes.buffer, attributes.byteOffset).setBigUint64(8, LANDLOCK_ACCESS_NET_CONNECT_TCP, littleEndian);
  const ruleset = check(
    'landlock_create_ruleset',
    create(callNumber('landlock_create_ruleset'), attributes, attributes.length, 0),
  );
  check('prctl', libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  check('landlock_restrict_self', restrict(callNumber('landlock_restrict_self'), ruleset, 0));
  libc().close(ruleset);
}

type Call = (...args: unknown[]) => number;

function calls(): { readonly create: Call; readonly restrict: Call } {
  const library = loadKoffi().load(null);
  return {
    create: library.func('syscall', 'long', ['long', 'void *', 'size_t', 'uint32']) as unknown as Call,
    restrict: library.func('syscall', 'long', ['long', 'int', 'uint32']) as unknown as Call,
  };
}
