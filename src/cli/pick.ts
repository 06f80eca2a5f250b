/**
 * `rebind free` without an endpoint: a numbered list of the ports in use, and a choice.
 */
import { formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import { canvas, type Io } from './io.ts';
import { filtered } from './ls/filter.ts';
import { linesOf, rowsOf } from './ls/table.ts';
import { askLine } from './question.ts';
import { UsageError } from './usage.ts';

/** @throws {UsageError} when nothing that is in the list was chosen. */
export async function choose(io: Io): Promise<string[]> {
  const listed = { ...os().readInventory(), managers: new Map() };
  const all = { protocols: new Set(['tcp', 'udp'] as const), ports: new Set<number>(), words: [], mine: false };
  const sockets = filtered(listed, all).filter(({ state }) => state === 'LISTEN' || state === 'BOUND');
  if (sockets.length === 0) throw new UsageError('No port is in use here');
  const surface = canvas(io, 'stderr');
  const rows = sockets.flatMap((socket) => rowsOf(socket, listed, surface.width - 5, io.now()).slice(0, 1));
  const [heading = '', ...lines] = linesOf(rows, surface, surface.width - 5);
  const numbered = lines.map((line, index) => `${String(index + 1).padStart(3)}  ${line}`);
  io.stderr.write(`     ${heading}\n${numbered.join('\n')}\n`);
  const answer = await askLine(
    `Which one to free? [1-${sockets.length}, several with spaces, nothing: none] `,
    io.signal,
  );
  return answer
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((word) => endpointOf(word, sockets));
}

function endpointOf(word: string, sockets: ReturnType<typeof filtered>): string {
  const socket = /^\d{1,4}$/.test(word) ? sockets[Number(word) - 1] : undefined;
  if (socket === undefined || socket.protocol === 'unix')
    throw new UsageError(`${JSON.stringify(word.slice(0, 20))} is not a number from 1 to ${sockets.length}`);
  const { address, port } = socket.local;
  return address === '::' || address === '0.0.0.0'
    ? `${socket.protocol === 'udp' ? 'udp/' : ''}${port}`
    : formatEndpoint({ protocol: socket.protocol, address, port });
}
