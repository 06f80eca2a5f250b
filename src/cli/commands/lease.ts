/** `rebind lease -- command`. */
import { realpathSync } from 'node:fs';
import { projectOf } from '../../ask/doubts.ts';
import { demand } from '../../os/capabilities.ts';
import { os } from '../../os/index.ts';
import { portsFor } from '../../server/lease.ts';
import type { Invocation } from '../command.ts';
import type { Io } from '../io.ts';
import { UsageError } from '../usage.ts';
import { serve } from './hold.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const command = invocation.rest ?? [];
  if (command.length === 0) throw new UsageError('A command is needed after --, such as: rebind lease -- npm run dev');
  demand(os(), 'passSockets');
  const here = realpathSync('.');
  const key = invocation.value('key') ?? [projectOf(here) ?? here, ...command].join('\0');
  return serve(command, invocation, io, portsFor(key));
}
