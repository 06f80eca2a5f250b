/**
 * Those that had a socket before hold took it over: they are asked to finish once the command is ready, and the files that they remove are kept.
 */
import { existsSync } from 'node:fs';
import { endAll } from '../act/end.ts';
import { keepFile } from '../act/keep-file.ts';
import type { ProcessIdentity } from '../model/facts.ts';
import { os } from '../os/index.ts';
import type { HeldSocket } from './held-socket.ts';
import type { StopSignal } from './settings.ts';

/** @returns Those that are still there after the grace. */
export async function askFormer(
  former: readonly ProcessIdentity[],
  sockets: readonly HeldSocket[],
  options: { readonly graceMs: number; readonly stopSignal: StopSignal },
  note: (text: string) => void,
): Promise<readonly ProcessIdentity[]> {
  // A server removes its path when it closes it, whichever process serves on it by then.
  const kept = sockets.flatMap(({ endpoint, own }) =>
    endpoint.protocol === 'unix' && !own && !endpoint.path.startsWith('\0')
      ? [{ path: endpoint.path, file: keepFile(os(), endpoint.path) }]
      : [],
  );
  const left = await endAll(os(), former, options.graceMs, options.stopSignal);
  for (const { path, file } of kept) {
    const why = typeof file === 'string' ? `${file}: ` : '';
    if (typeof file === 'string' ? !existsSync(path) : !file.end())
      note(`${why}the file ${path} was removed with its former server, so no client can connect: start hold again`);
  }
  return left;
}
