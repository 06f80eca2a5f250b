/** `rebind __values endpoints|causes|topics`: what the completion scripts offer. One value a line. */
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
  const { causes } = await import('../../causes/bind/index.ts');
  const ids = causes.map(({ id }) => id);
  if (kind === 'causes') return ids;
  return [...commands.filter(({ hidden }) => !hidden).map(({ name }) => name), ...ids];
}

/** The ports of this machine as `parseEndpoint` reads them. Bare ports: bash would split an address at its colons. */
async function endpoints(): Promise<string[]> {
  const { os } = await import('../../os/index.ts');
  const ports = os()
    .readInventory()
    .sockets.map(({ protocol, local }) => (protocol === 'udp' ? `udp/${local.port}` : String(local.port)));
  return [...new Set(ports)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}
