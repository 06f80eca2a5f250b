/** `rebind help [topic]`: of everything, of a command, or the page of a cause. */

import { allCauses } from '../all-causes.ts';
import { causePageText } from '../cause-page.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { helpFor, helpForAll } from '../help.ts';
import { canvas, type Io } from '../io.ts';
import { suggestion, UsageError } from '../usage.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [topic] = invocation.operands;
  io.stdout.write(await textOf(topic, invocation, io));
  return exit.ok;
}

async function textOf(topic: string | undefined, { commands }: Invocation, io: Io): Promise<string> {
  if (topic === undefined) return helpForAll(commands, canvas(io));
  const command = commands.find(({ name }) => name === topic);
  if (command !== undefined) return helpFor(command, canvas(io));
  const causes = await allCauses();
  const cause = causes.find(({ id }) => id === topic);
  if (cause !== undefined) return causePageText(cause, canvas(io), cause.stages.length > 0);
  const topics = [
    ...commands.filter(({ hidden }) => !hidden).map(({ name }) => name),
    ...new Set(causes.map(({ id }) => id)),
  ];
  throw new UsageError(
    `There is no command and no cause ${JSON.stringify(topic.slice(0, 40))}.${suggestion(topic, topics) || ' See "rebind help" and "rebind demo".'}`,
  );
}
