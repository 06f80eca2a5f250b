/**
 * What macOS refuses before it looks at the sockets of the port: tcp_usr_bind, in_pcbbind and in6_pcbbind of xnu, in their order.
 */
import { parseIpv6 } from '../address.ts';
import type { Settings } from '../facts.ts';
import type { Refusal } from './linux-refusal.ts';
import type { Binder } from './rules.ts';
import { canonical, mapped } from './span.ts';

/** TCP only, and for every user: bsd/net/restricted_in_port.c, since 10.15. */
export const restrictedPort = 55_555;

const reserved = 1024;

/** The major version of Darwin with the first release of macOS that behaves so. */
const catalina = [19, 0] as const;
const mojave = [18, 0] as const;
/** 12.3, xnu-8020. */
const monterey3 = [21, 4] as const;

/** Every refusal that applies in the order of the checks, up to and including the first certain one. */
export function darwinRefusals(binder: Binder, port: number, settings: Settings, kernel: string): readonly Refusal[] {
  const found: Refusal[] = [];
  for (const refusal of [
    notForStreams(binder, kernel),
    notLocal(binder, settings),
    privileged(binder, port, kernel),
    restricted(binder, port, kernel),
  ]) {
    if (refusal === null) continue;
    found.push(refusal);
    if (refusal.sure) break;
  }
  return found;
}

/** Multicast; and broadcast since 12.3. */
function notForStreams({ protocol, address }: Binder, kernel: string): Refusal | null {
  if (protocol !== 'tcp') return null;
  const plain = canonical(address);
  const v4 = plain.startsWith(mapped) ? plain.slice(mapped.length) : plain;
  const isMapped = v4 !== plain;
  const isNew = isFrom(kernel, monterey3);
  const applies = isMulticast(plain) || ((isMapped || v4 === '255.255.255.255') && isNew && isGroup(v4));
  return applies ? { errno: 'EAFNOSUPPORT', sure: true } : null;
}

/** Only 127.0.0.1 of 127.0.0.0/8 is here. Not certain: an address may have come since the settings were read. */
function notLocal({ address }: Binder, settings: Settings): Refusal | null {
  const plain = canonical(address);
  const v4 = plain.startsWith(mapped) ? plain.slice(mapped.length) : plain;
  if (v4 === '0.0.0.0' || v4 === '::' || isMulticast(plain) || isMulticast(v4)) return null;
  const isHere = settings.localAddresses.some((local) => canonical(local.address) === v4);
  return isHere ? null : { errno: 'EADDRNOTAVAIL', sure: false };
}

/** Since 10.14 only for one definite address; before, for all. */
function privileged({ address, uid }: Binder, port: number, kernel: string): Refusal | null {
  if (port === 0 || port >= reserved || uid === 0) return null;
  const isWild = ['0.0.0.0', '::', `${mapped}0.0.0.0`].includes(canonical(address));
  return isWild && isFrom(kernel, mojave) ? null : { errno: 'EACCES', sure: true };
}

function restricted({ protocol }: Binder, port: number, kernel: string): Refusal | null {
  const applies = protocol === 'tcp' && port === restrictedPort && isFrom(kernel, catalina);
  return applies ? { errno: 'EADDRINUSE', sure: true } : null;
}

function isGroup(v4: string): boolean {
  return v4 === '255.255.255.255' || isMulticast(v4);
}

function isMulticast(address: string): boolean {
  if (/^(22[4-9]|23\d)\./.test(address)) return true;
  const [first = 0] = parseIpv6(address) ?? [];
  return (first & 0xff00) === 0xff00;
}

/** Whether a release of Darwin such as `24.5.0` is at least this one; one that cannot be read counts as new. */
function isFrom(kernel: string, [major, minor]: readonly [number, number]): boolean {
  const match = /^(\d+)\.(\d+)/.exec(kernel);
  if (match === null) return true;
  const [, a = '0', b = '0'] = match;
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
}
