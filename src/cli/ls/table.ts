/**
 * The table of `rebind ls`. What a narrow terminal has no room for is left out: the state, then the user, then the command's arguments.
 */
import { formatAddress } from '../../model/address.ts';
import { formatEndpoint } from '../../model/endpoint.ts';
import type { Holder } from '../../model/facts.ts';
import { label, managedName } from '../../model/manager-words.ts';
import { type Manager, managers as table } from '../../model/managers.ts';
import { programName } from '../../model/program.ts';
import { escapeText } from '../../model/text.ts';
import type { Canvas } from '../io.ts';
import { columnsOf, pad, shellWords, shorten, shortenPath, wrap } from '../text.ts';
import { ago } from '../time.ts';
import { type Listed, projectName, type Socket } from './filter.ts';

/** One socket and one of its holders in a line. */
export interface Row {
  readonly socket: Socket;
  readonly protocol: string;
  readonly address: string;
  readonly state: string;
  readonly process: string;
  readonly user: string;
  readonly age: string;
  readonly project: string;
  /** What started it. */
  readonly manager: string;
  readonly command: string;
}

type Column = Exclude<keyof Row, 'socket'>;

const headings: Readonly<Record<Column, string>> = {
  protocol: 'PROTO',
  address: 'ADDRESS',
  state: 'STATE',
  process: 'PID',
  user: 'USER',
  age: 'AGE',
  project: 'PROJECT',
  manager: 'MANAGER',
  command: 'COMMAND',
};

/** From here on a line has room for everything. */
const wide = 110;

/** The sockets as an aligned table; they come sorted. `columns` is where a line is cut. */
export function listing(
  sockets: readonly Socket[],
  listed: Listed,
  canvas: Canvas,
  columns: number,
  nowMs: number,
): string {
  const rows = sockets.flatMap((socket) => rowsOf(socket, listed, columns, nowMs));
  const lines = rows.length === 0 ? ['No such port or socket is in use.'] : linesOf(rows, canvas, columns);
  const gaps = listed.gaps.flatMap(({ what, why, hint }) =>
    wrap(escapeText(`Not seen: ${what} (${why})${hint === '' ? '' : `. ${hint}`}`), canvas.width),
  );
  return `${[...lines, ...(gaps.length > 0 ? ['', ...gaps] : [])].join('\n')}\n`;
}

/** The heading and a line for each row. */
export function linesOf(rows: readonly Row[], canvas: Canvas, columns: number): string[] {
  const shown = columnsFor(rows, columns);
  const widths = shown.map((name) => Math.max(columnsOf(headings[name]), ...rows.map((row) => columnsOf(row[name]))));
  const line = (cells: Readonly<Record<Column, string>>): string => {
    const start = shown.map((name, index) => pad(cells[name], widths[index] ?? 0)).join('  ');
    return shorten(`${start}  ${cells.command}`.trimEnd(), columns, canvas.unicode);
  };
  return [canvas.paint('faint', line(headings)), ...rows.map(line)];
}

/** What is the same everywhere, or empty, is no column on a narrow terminal. */
function columnsFor(rows: readonly Row[], columns: number): Column[] {
  const differ = (name: Column): boolean => new Set(rows.map((row) => row[name]).filter(Boolean)).size > 1;
  return [
    'protocol',
    'address',
    ...(columns >= wide || rows.some(({ protocol, state }) => protocol === 'tcp' && state !== 'listening')
      ? (['state'] as const)
      : []),
    'process',
    ...(columns >= wide || differ('user') ? (['user'] as const) : []),
    'age',
    ...(rows.some(({ project }) => project !== '') ? (['project'] as const) : []),
    ...(rows.some(({ manager }) => manager !== '') ? (['manager'] as const) : []),
  ];
}

export function rowsOf(
  socket: Socket,
  { holders: found, users, managers }: Listed,
  columns: number,
  nowMs: number,
): Row[] {
  const holders = found.get(socket.inode) ?? [];
  const narrow = columns < wide;
  const first = {
    socket,
    protocol: socket.protocol,
    address: addressOf(socket, narrow),
    state: socket.state === 'LISTEN' ? 'listening' : socket.state === 'BOUND' ? 'bound' : socket.state,
  };
  if (holders.length === 0) {
    const user = escapeText(users.get(socket.uid) ?? String(socket.uid));
    return [{ ...first, process: '?', user, age: '', project: '', manager: '', command: '(not visible)' }];
  }
  return holders.map((holder, index) => ({
    ...(index === 0 ? first : { socket, protocol: '', address: '', state: '' }),
    process: String(holder.pid),
    user: escapeText(holder.user),
    age: ago(nowMs - holder.startedAtMs).replace(/ ago$/, ''),
    project: shorten(escapeText(projectName(holder)), narrow ? 14 : 30, true),
    manager: managerText(managers.get(holder.pid), narrow ? 18 : 30),
    command: commandOf(holder, narrow),
  }));
}

function addressOf(socket: Socket, narrow: boolean): string {
  if (socket.protocol !== 'unix') return escapeText(formatAddress(socket.local.address, socket.local.port));
  const path = escapeText(formatEndpoint({ protocol: 'unix', path: socket.path }));
  return narrow ? shortenPath(path, 30) : path;
}

/** The program as its user knows it; its whole command line where there is room. */
function commandOf(holder: Holder, narrow: boolean): string {
  if (holder.argv.length === 0) return escapeText(`[${holder.command}]`);
  const name = programName(holder);
  const [program = '', ...words] = holder.argv;
  if (narrow || words.every((word) => word === '')) return escapeText(narrow ? name : program);
  // The folder of the program is what says least in a line that is cut; JSON has it.
  return escapeText(shellWords([program.slice(program.lastIndexOf('/') + 1) || program, ...words]));
}

/** `pm2 shop`, `npm run dev`; with a question mark where the manager did not confirm it. */
function managerText(manager: Manager | undefined, columns: number): string {
  if (manager === undefined) return '';
  const name = managedName(manager);
  const text =
    table[manager.kind].role === 'service'
      ? `${manager.kind}${name === null ? '' : ` ${name}`}`
      : label({ ...manager, pid: null });
  return `${shorten(escapeText(text), columns, true)}${manager.confirmed ? '' : '?'}`;
}
