/**
 * The one table of commands. The build, the parser, the help, the completions, the man page and docs/cli.md come from it.
 * Adding a command is a file in entries/, its code in commands/ and a line here; the order is that of the help.
 */
import type { Command } from './command.ts';
import { checkEntry } from './entries/check.ts';
import { completionEntry } from './entries/completion.ts';
import { demoEntry } from './entries/demo.ts';
import { freeEntry } from './entries/free.ts';
import { helpEntry } from './entries/help.ts';
import { holdEntry } from './entries/hold.ts';
import { leaseEntry } from './entries/lease.ts';
import { lsEntry } from './entries/ls.ts';
import { reachEntry } from './entries/reach.ts';
import { valuesEntry } from './entries/values.ts';
import { waitEntry } from './entries/wait.ts';
import { whyEntry } from './entries/why.ts';

export const commands: readonly Command[] = [
  whyEntry,
  freeEntry,
  waitEntry,
  holdEntry,
  reachEntry,
  leaseEntry,
  lsEntry,
  checkEntry,
  demoEntry,
  completionEntry,
  helpEntry,
  valuesEntry,
];
