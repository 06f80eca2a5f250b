/**
 * The advice of each system that is known.
 */
import type { Platform } from '../facts.ts';
import type { Advice } from './advice.ts';
import { darwinAdvice } from './darwin.ts';
import { linuxAdvice } from './linux.ts';

/** Of a system that nobody has written the advice of: the commands of rebind alone, and none of the system's. */
export const plainAdvice: Advice = {
  asAdministrator: (command) => command,
  unprivilegedFrom: () => null,
  reserve: () => null,
  moreAutomaticPorts: null,
  serviceSockets: () => null,
  leftovers: { removable: false, keepFlags: false },
  policies: null,
  watchLimits: {},
  network: null,
  process: null,
};

const known: Partial<Record<Platform, Advice>> = { linux: linuxAdvice, darwin: darwinAdvice };

export function adviceFor(platform: Platform): Advice {
  return known[platform] ?? plainAdvice;
}
