import { managersIn } from '../../ask/managers/ask.ts';
import { formatAddress } from '../../model/address.ts';
import type { InetSocket } from '../../model/facts.ts';
import { label, managedName } from '../../model/manager-words.ts';
import { type Manager, managers as table } from '../../model/managers.ts';
import { escapeText } from '../../model/text.ts';
import { os } from '../../os/index.ts';
import type { Inventory } from '../../os/os.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { type Canvas, canvas, type Io } from '../io.ts';
import { lsDocument, print } from '../json.ts';
import { columnsOf, pad, shellWords, shorten, wrap } from '../text.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const inventory = os().readInventory();
  const managers = await managersIn(os(), inventory, io.signal);
  const sockets = inventory.sockets.toSorted(byPort);
  if (invocation.flag('json')) {
    io.stdout.write(print(lsDocument(sockets, inventory.holders, inventory.gaps, managers)));
  } else {
    // A pipe has no width: whoever greps wants the whole line.
    const columns = io.stdout.isTTY ? canvas(io).width : 1000;
    io.stdout.write(listing({ ...inventory, sockets, managers }, canvas(io), columns));
  }
  return exit.ok;
}

/** One socket and one of its holders in a line. */
interface Row {
  readonly protocol: string;
  readonly address: string;
  readonly state: string;
  readonly process: string;
  readonly user: string;
  /** What started it. */
  readonly manager: string;
  readonly command: string;
}

const heading: Row = {
  protocol: 'PROTO',
  address: 'ADDRESS',
  state: 'STATE',
  process: 'PID',
  user: 'USER',
  manager: 'MANAGER',
  command: 'COMMAND',
};

/** Everything that is listed. */
type Listed = Omit<Inventory, 'asker'> & { readonly managers?: ReadonlyMap<number, Manager> };

/** The sockets as an aligned table; they come sorted. `columns` is where a line is cut. */
export function listing(inventory: Listed, canvas: Canvas, columns: number): string {
  const rows = inventory.sockets.flatMap((socket) => rowsOf(socket, inventory));
  const isManaged = rows.some(({ manager }) => manager !== '');
  const fixed = [
    'protocol',
    'address',
    'state',
    'process',
    'user',
    ...(isManaged ? (['manager'] as const) : []),
  ] as const;
  const widths = fixed.map((name) => Math.max(...[heading, ...rows].map((row) => columnsOf(row[name]))));
  const line = (row: Row) => {
    const start = fixed.map((name, index) => pad(row[name], widths[index] ?? 0)).join('  ');
    return shorten(`${start}  ${row.command}`.trimEnd(), columns, canvas.unicode);
  };
  const lines =
    rows.length === 0
      ? ['No port is listened on or bound here.']
      : [canvas.paint('faint', line(heading)), ...rows.map(line)];
  const gaps = inventory.gaps.flatMap(({ what, why, hint }) =>
    wrap(escapeText(`Not seen: ${what} (${why})${hint === '' ? '' : `; ${hint}`}`), canvas.width),
  );
  return `${[...lines, ...(gaps.length > 0 ? ['', ...gaps] : [])].join('\n')}\n`;
}

function rowsOf(socket: InetSocket, { holders: found, users, managers }: Listed): Row[] {
  const holders = found.get(socket.inode) ?? [];
  const first = {
    protocol: socket.protocol,
    address: escapeText(formatAddress(socket.local.address, socket.local.port)),
    state: socket.state === 'LISTEN' ? 'listening' : socket.state === 'BOUND' ? 'bound' : socket.state,
  };
  if (holders.length === 0) {
    return [
      {
        ...first,
        process: '?',
        user: escapeText(users.get(socket.uid) ?? String(socket.uid)),
        manager: '',
        command: '(not visible)',
      },
    ];
  }
  return holders.map((holder, index) => ({
    ...(index === 0 ? first : { protocol: '', address: '', state: '' }),
    process: String(holder.pid),
    user: escapeText(holder.user),
    manager: managerText(managers?.get(holder.pid)),
    command: escapeText(holder.argv.length === 0 ? `[${holder.command}]` : shellWords(withoutFolder(holder.argv))),
  }));
}

/** `pm2 shop`, `npm run dev`; with a question mark where the manager did not confirm it. */
function managerText(manager: Manager | undefined): string {
  if (manager === undefined) return '';
  const name = managedName(manager);
  const text =
    table[manager.kind].role === 'service'
      ? `${manager.kind}${name === null ? '' : ` ${name}`}`
      : label({ ...manager, pid: null });
  return `${shorten(escapeText(text), 30, true)}${manager.confirmed ? '' : '?'}`;
}

/** The folder of the program is what says least in a line that is cut; JSON has it. */
function withoutFolder([program = '', ...words]: readonly string[]): string[] {
  return [program.slice(program.lastIndexOf('/') + 1) || program, ...words];
}

/** By port, then TCP before UDP, then address. */
export function byPort(a: InetSocket, b: InetSocket): number {
  return (
    a.local.port - b.local.port ||
    a.protocol.localeCompare(b.protocol, 'en') ||
    a.family - b.family ||
    a.local.address.localeCompare(b.local.address, 'en')
  );
}
