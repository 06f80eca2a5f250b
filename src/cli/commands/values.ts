/** `rebind __values endpoints|causes|topics`: what the completion scripts offer. One value a line, and after a tab what it is. */
import { programName } from '../../model/program.ts';
import { escapeText } from '../../model/text.ts';
import { allCauses } from '../all-causes.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const values = await valuesOf(invocation);
  io.stdout.write(values.map((value) => `${value}\n`).join(''));
  return exit.ok;
}

async function valuesOf({ operands: [kind], commands }: Invocation): Promise<string[]> {
  if (kind === 'endpoints') return endpoints();
  const ids = [...new Set((await allCauses()).map(({ id }) => id))];
  if (kind === 'causes') return ids;
  return [...commands.filter(({ hidden }) => !hidden).map(({ name }) => name), ...ids];
}

/** The ports of this machine as `parseEndpoint` reads them, with the process that uses each. Bare ports: bash would split an address at its colons. */
async function endpoints(): Promise<string[]> {
  const { os } = await import('../../os/index.ts');
  const { sockets, holders } = os().readInventory();
  const ports = new Map<string, string>();
  for (const { protocol, local, inode } of sockets) {
    const port = protocol === 'udp' ? `udp/${local.port}` : String(local.port);
    const [holder] = holders.get(inode) ?? [];
    const program = holder === undefined ? '' : escapeText(`${programName(holder)} (pid ${holder.pid})`);
    if (!ports.get(port)) ports.set(port, program);
  }
  return [...ports]
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([port, program]) => (program === '' ? port : `${port}\t${program}`));
}
