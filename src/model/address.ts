/**
 * IP addresses as text: their family, their shortest form, and what is a wildcard.
 */

/** `127.0.0.1:3000`, `[::1]:3000`. */
export function formatAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The address family of a resolved address: 6 when it holds a colon. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** Where a listen without an address goes: Node tries the first, and the second on a machine without IPv6 (net.Server.listen). */
export const everyAddress: readonly [string, string] = ['::', '0.0.0.0'];

/** `0.0.0.0`, `::`, and `::` written as a mapped IPv4 address. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::' || address === '::ffff:0.0.0.0';
}

/** Four decimal parts of 0 to 255 without leading zeros (inet_pton(3)). */
export function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** An IPv6 address as inet_pton(3) takes it, with an optional `%zone`. */
export function isIpv6(text: string): boolean {
  return parseIpv6(text) !== null;
}

/** The eight groups of an IPv6 address without its zone, or null when the text is not one. */
export function parseIpv6(text: string): number[] | null {
  const address = text.replace(/%[A-Za-z0-9_.-]+$/, '');
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const groups: number[][] = [];
  for (const [index, half] of halves.entries()) {
    const parsed = half === '' ? [] : parseGroups(half, index === halves.length - 1);
    if (parsed === null) return null;
    groups.push(parsed);
  }
  const [head = [], tail] = groups;
  if (tail === undefined) return head.length === 8 ? head : null;
  const missing = 8 - head.length - tail.length;
  return missing < 1 ? null : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(half: string, last: boolean): number[] | null {
  const groups: number[] = [];
  const parts = half.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      if (!last || index !== parts.length - 1 || !isIpv4(part)) return null;
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      groups.push(a * 256 + b, c * 256 + d);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** RFC 5952: lower case, the longest run of zeros as `::`, a mapped IPv4 address in dotted form. */
export function shortestIpv6(text: string): string {
  const groups = parseIpv6(text);
  if (groups === null) return text;
  const zone = /%.+$/.exec(text)?.[0] ?? '';
  return formatIpv6(groups) + zone;
}

/** Eight groups as text after RFC 5952. */
export function formatIpv6(groups: readonly number[]): string {
  const [g0, g1, g2, g3, g4, g5, g6 = 0, g7 = 0] = groups;
  if (g0 === 0 && g1 === 0 && g2 === 0 && g3 === 0 && g4 === 0 && g5 === 0xffff) {
    return `::ffff:${g6 >> 8}.${g6 & 255}.${g7 >> 8}.${g7 & 255}`;
  }
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** True for 127.0.0.0/8 and ::1, also as an address of IPv6. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./i.test(address);
}
