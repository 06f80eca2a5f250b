/**
 * What somebody who was told that a TCP port is available may have meant: a process with that number, or the UDP port.
 */
import { formatAddress } from '../model/address.ts';
import { nodeUdpOptions, type Request } from '../model/endpoint.ts';
import { programName } from '../model/program.ts';
import { escapeText } from '../model/text.ts';
import type { Os } from '../os/os.ts';
import { explain } from '../why.ts';
import type { Canvas } from './io.ts';
import { pasted } from './pasted.ts';
import { wrap } from './text.ts';

/** A paragraph after an empty line, or nothing. */
export function hintFor({ endpoint, options }: Request, os: Os, canvas: Canvas): string {
  if (endpoint.protocol !== 'tcp' || endpoint.port === 0 || !/^(::|0\.0\.0\.0)$/.test(endpoint.address)) return '';
  const hints = [processHint(endpoint.port, os, canvas), udpHint({ endpoint, options }, os, canvas)];
  const lines = hints.flatMap((hint) => (hint === null ? [] : wrap(escapeText(hint), canvas.width)));
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

/** `rebind 4121`, where 4121 is a process and no port. */
export function processHint(pid: number, os: Os, program: Pick<Canvas, 'program'> = {}): string | null {
  if (os.processes.identify(pid) === null) return null;
  const { sockets, holders } = os.readInventory();
  const found = sockets.flatMap(({ inode, local, protocol }) => {
    const holder = (holders.get(inode) ?? []).find((one) => one.pid === pid);
    return holder === undefined ? [] : [{ holder, local, protocol }];
  });
  const [first] = found;
  if (first === undefined) return null;
  const places = [...new Set(found.map(({ local, protocol }) => `${protocol === 'udp' ? 'udp/' : ''}${local.port}`))];
  const what = found.length === 1 ? formatAddress(first.local.address, first.local.port) : `ports ${places.join(', ')}`;
  return `${pid} is also a process: ${programName(first.holder)} (pid ${pid}) uses ${what}. See: ${pasted(`rebind ${places.slice(0, 3).join(' ')}`, program)}`;
}

/** The port is used, but for UDP. One bind that is thrown away tells, so a port that is available stays a quick answer. */
function udpHint({ endpoint }: Request, os: Os, canvas: Canvas): string | null {
  if (endpoint.protocol !== 'tcp') return null;
  const udp: Request = { endpoint: { ...endpoint, protocol: 'udp' }, options: nodeUdpOptions };
  if (os.probe(udp)?.errno !== 'EADDRINUSE') return null;
  const holder = explain(udp, os).blockers.flatMap(({ holders }) => holders)[0];
  const by = holder === undefined ? '' : ` by ${programName(holder)} (pid ${holder.pid})`;
  return `UDP port ${endpoint.port} is in use${by}. See: ${pasted(`rebind udp/${endpoint.port}`, canvas)}`;
}
