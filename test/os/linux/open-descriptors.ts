import { readdirSync, readlinkSync } from 'node:fs';

/** What this process has open, without the descriptor that does the listing. */
export function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return [`${name} ${readlinkSync(`/proc/self/fd/${name}`)}`];
    } catch {
      return [];
    }
  });
}
