/**
 * When one socket keeps another from a port on Linux. The rules are written as the kernel knows them, with every flag
 * known; `conflict` asks them for each value that a hidden flag may have.
 *
 * Not modelled, because no fact shows it: VRF (tcp_l3mdev_accept), a BPF program attached to a reuse-port group before the
 * bind (its own bind fails), SK_FORCE_REUSE of TCP_REPAIR.
 */
import type { Conflict } from '../verdict.ts';
import { overlap } from './linux-address.ts';
import type { Binder, Occupant } from './rules.ts';

/** An occupant whose flags are all known. */
export type Known = Occupant & {
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly v6Only: boolean;
};

/**
 * Whether `occupant` makes bind, or listen, of `binder` fail with EADDRINUSE. Same network namespace, protocol and port are given.
 * listen(2) runs the same check again over all other sockets: its outcome is that of this function too.
 *
 * net/ipv4/inet_connection_sock.c: inet_csk_get_port, inet_bind_conflict; net/ipv4/udp.c: udp_lib_lport_inuse.
 */
export function blocks(binder: Binder, occupant: Known): boolean {
  // A connection that is still being made is not in the bind bucket.
  if (occupant.state === 'SYN_RECV') return false;
  if (!meets(binder, occupant)) return false;
  if (addressReused(binder, occupant)) return false;
  return !portShared(binder, occupant);
}

/**
 * Whether `occupant` keeps bind(0) from choosing its port for `binder`. For TCP no flag helps; UDP asks the same as for a given port
 * (inet_csk_find_open_port; udp_lib_get_port).
 */
export function blocksAutomatic(binder: Binder, occupant: Known): boolean {
  if (binder.protocol === 'udp') return blocks(binder, occupant);
  return occupant.state !== 'SYN_RECV' && meets(binder, occupant);
}

/** What `blocks` says for every value of the hidden flags: `maybe` when they decide. */
export function conflict(binder: Binder, occupant: Occupant): Conflict {
  let yes = false;
  let no = false;
  for (const known of everyValue(occupant)) {
    if (blocks(binder, known)) yes = true;
    else no = true;
  }
  if (yes && no) return 'maybe';
  return yes ? 'yes' : 'no';
}

/**
 * The outcome of a UDP bind when the order of the sockets is known. The first that overlaps and is not excused by
 * SO_REUSEADDR decides alone: a partner in SO_REUSEPORT ends the search with success.
 *
 * @param inOrder As the kernel walks them: newest first, except that IPv6 sockets that had SO_REUSEPORT when they were bound
 * come last, oldest first (include/net/sock.h: sk_add_node_rcu).
 */
export function udpBinds(binder: Binder, inOrder: readonly Known[]): boolean {
  const decider = inOrder.find((occupant) => meets(binder, occupant) && !addressReused(binder, occupant));
  return decider === undefined || portShared(binder, decider);
}

/** Whether sharing by SO_REUSEPORT with this socket could end a UDP search early. */
export function mayShare(binder: Binder, occupant: Occupant): boolean {
  for (const known of everyValue(occupant)) {
    if (meets(binder, known) && !addressReused(binder, known) && portShared(binder, known)) return true;
  }
  return false;
}

function meets(binder: Binder, occupant: Known): boolean {
  // A socket without a device is compared with every other.
  if (binder.device !== null && occupant.device !== null && binder.device !== occupant.device) return false;
  return overlap(binder, {
    family: occupant.family,
    address: occupant.local.address,
    v6Only: occupant.v6Only,
  });
}

/** SO_REUSEADDR on both sides; for TCP not against a listener. The occupant's flag is the one it has now. */
function addressReused(binder: Binder, occupant: Known): boolean {
  return binder.reuseAddress && occupant.reuseAddress && (binder.protocol === 'udp' || occupant.state !== 'LISTEN');
}

/** SO_REUSEPORT on both sides and one user; what is left of a connection no longer has a user. */
function portShared(binder: Binder, occupant: Known): boolean {
  return binder.reusePort && occupant.reusePort && (occupant.linux?.mini || occupant.uid === binder.uid);
}

function* everyValue(occupant: Occupant): Generator<Known> {
  for (const reuseAddress of valuesOf(occupant.reuseAddress)) {
    for (const reusePort of valuesOf(occupant.reusePort)) {
      for (const v6Only of occupant.family === 4 ? [false] : valuesOf(occupant.v6Only)) {
        yield { ...occupant, reuseAddress, reusePort, v6Only };
      }
    }
  }
}

function valuesOf(flag: boolean | null): readonly boolean[] {
  return flag === null ? [false, true] : [flag];
}
