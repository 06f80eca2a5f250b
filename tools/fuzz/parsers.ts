/**
 * The one table of everything that reads what another program, the kernel or a person wrote. A new parser is one line here; test/fuzz.test.ts
 * fails where one is missing.
 */

import { channelParsers } from './channels.ts';
import { darwinParsers } from './darwin.ts';
import { kernelParsers } from './kernel.ts';
import type { Parser } from './parser.ts';
import { reachParsers } from './reach.ts';
import { textParsers } from './text.ts';

export const parsers: readonly Parser[] = [
  ...channelParsers,
  ...kernelParsers,
  ...darwinParsers,
  ...reachParsers,
  ...textParsers,
];
