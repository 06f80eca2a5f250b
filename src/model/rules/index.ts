/**
 * The bind rules of each system that has been measured.
 */
import type { Platform } from '../facts.ts';
import { darwin } from './darwin.ts';
import { linux } from './linux.ts';
import type { Rules } from './rules.ts';

const all: Partial<Record<Platform, Rules>> = { linux, darwin };

/** Null for a system without rules: every socket on the port is a suspect, and only the kernel's answer counts. */
export function rulesFor(platform: Platform): Rules | null {
  return all[platform] ?? null;
}
