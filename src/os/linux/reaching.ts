/**
 * The instruments of `reach` on Linux.
 */
import { portableReaching } from '../portable-reaching.ts';
import type { Reaching } from '../reaching.ts';
import { askerNow } from './read.ts';

export const reaching: Reaching = portableReaching(askerNow, {
  what: 'The way to the address was not looked at',
  why: 'ERR_REBIND_UNSUPPORTED',
  hint: 'The instruments of Linux are not here yet',
});
