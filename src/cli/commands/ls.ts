/** `rebind ls [filter]...`. */
import { managersIn } from '../../ask/managers/ask.ts';
import { os } from '../../os/index.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { canvas, type Io } from '../io.ts';
import { lsDocument, print } from '../json.ts';
import { filtered, filterOf } from '../ls/filter.ts';
import { listing } from '../ls/table.ts';
import { watch } from '../ls/watch.ts';
import { count } from '../words.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const filter = filterOf(invocation);
  if (invocation.flag('watch') === true) return watch(filter, invocation.flag('json') === true, io);
  const inventory = os().readInventory();
  const listed = { ...inventory, managers: await managersIn(os(), inventory) };
  const sockets = filtered(listed, filter);
  if (invocation.flag('json')) {
    io.stdout.write(print(lsDocument(sockets, listed)));
    return exit.ok;
  }
  // A pipe has no width: grep needs the whole line.
  const columns = io.stdout.isTTY ? canvas(io).width : 1000;
  const hidden = filter.protocols.has('unix') || filter.protocols.size < 2 ? 0 : listed.unixSockets.length;
  const more = hidden === 0 || !io.stdout.isTTY ? '' : `\nAnd ${count(hidden, 'Unix socket')}: rebind ls --unix\n`;
  io.stdout.write(listing(sockets, listed, canvas(io), columns, io.now()) + more);
  return exit.ok;
}
