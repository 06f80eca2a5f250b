/**
 * The table of connections that the firewall tracks: one limit for the machine, a count for each network namespace.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PlaceOwner } from './place.ts';

/** How many entries one run of conntrack(8) loads: it keeps them all in memory. */
const atOnce = 50_000;

/** The limit of the machine, null where nothing is tracked. */
export function mostTracked(): number | null {
  try {
    return Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'));
  } catch {
    return null;
  }
}

/** Adds entries that the kernel believes to be in use (ASSURED), so that it gives none of them up (early_drop), until there is no room. */
export async function fillConntrack(
  owner: PlaceOwner,
  run: (command: readonly string[]) => Promise<string>,
): Promise<void> {
  const most = mostTracked() ?? 0;
  const file = join(owner.directory(), 'connections');
  for (let from = 0; from <= most; from += atOnce) {
    let lines = '';
    for (let i = from; i < Math.min(from + atOnce, most + 1); i++)
      lines += `-A -p udp -s 10.8.${i >> 14}.1 -d 10.9.9.9 --sport ${1000 + (i % 16_384)} --dport 53 -t 300 -u SEEN_REPLY,ASSURED\n`;
    writeFileSync(file, lines);
    // The last ones find no room: that is what is wanted.
    await run(['sh', '-c', 'conntrack --load-file "$0" >/dev/null 2>&1 || true', file]);
  }
}
