/**
 * systemd, of the system and of a user, asked by systemctl(1), which changes nothing when it shows.
 */
import { formatAddress } from '../../model/address.ts';
import type { Asker, Holder, Socket } from '../../model/facts.ts';
import type { Manager } from '../../model/managers.ts';
import { beginsSession, isSystemd } from '../../model/suspect.ts';
import { runCommand } from '../command.ts';
import {
  type Ask,
  type Asking,
  askAs,
  complaint,
  confirmed,
  denied,
  type Inquiry,
  isFamily,
  questionMs,
} from './inquiry.ts';

/** The characters of a unit's name (systemd.unit(5)); without those of a pattern, which systemctl would expand. */
const unitName = /^[A-Za-z0-9:_.@\\-]{1,247}\.(?:service|socket)$/;

export const askSystemd: Ask = (inquiries, asking) =>
  Promise.all(
    inquiries.map((inquiry) =>
      isSystemd(inquiry.holder) ? askForSocket(inquiry, asking) : askForService(inquiry, asking),
    ),
  );

/** Which systemd: the options of systemctl that reach it, and the user to ask as. Null when it is another user's. */
interface Reach {
  readonly options: readonly string[];
  readonly uid: number | null;
  /** What a person types before the verb. */
  readonly shown: string;
}

function reachOf(user: number | null, asker: Asker): Reach | null {
  const plain = ['--no-pager', '--no-ask-password'];
  if (user === null) return { options: plain, uid: null, shown: asker.uid === 0 ? 'systemctl' : 'sudo systemctl' };
  const as = askAs(user, asker);
  if (as === null) return null;
  return { options: ['--user', ...plain], uid: as === 'ourselves' ? null : as, shown: 'systemctl --user' };
}

const another = (user: string): string => `it is the systemd of user ${user}, and only that user can run this`;

async function askForService(inquiry: Inquiry, asking: Asking): Promise<Manager> {
  const { holder, manager } = inquiry;
  const { unit, cgroup } = holder;
  if (unit === null || cgroup === null || !unitName.test(unit)) return denied(manager, 'that is no name of a unit');
  const user = holder.userUnit ? Number(/\/user@(\d+)\.service(?:\/|$)/.exec(cgroup)?.[1] ?? -1) : null;
  const reach = reachOf(user, asking.asker);
  if (reach === null) return denied(manager, another(holder.user));
  const asked = await systemctl(reach, ['show', '--property=Id,ControlGroup,MainPID,TriggeredBy', '--', unit], asking);
  if (asked.problem !== null) return denied(manager, asked.problem);
  const { id, group, main, triggers } = parseService(asked.text);
  if (id !== unit || group === '' || (cgroup !== group && !cgroup.startsWith(`${group}/`)))
    return denied(manager, `systemd runs no such process in ${unit}`);
  if (!runs(main, holder, asking.holders)) return denied(manager, `${unit} has another main process`);
  // A socket unit would start it again at the next connection.
  return ordered(manager, [...triggers, unit], unit, reach);
}

/** What `systemctl show` prints of a service. @internal Exported for the fuzz test. */
export function parseService(text: string): {
  readonly id: string;
  readonly group: string;
  readonly main: number;
  readonly triggers: readonly string[];
} {
  const said = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const main = said.get('MainPID') ?? '';
  return {
    id: said.get('Id') ?? '',
    group: said.get('ControlGroup') ?? '',
    main: /^\d{1,10}$/.test(main) ? Number(main) : 0,
    triggers: (said.get('TriggeredBy') ?? '')
      .split(' ')
      .filter((each) => each.endsWith('.socket') && unitName.test(each)),
  };
}

/**
 * A cgroup alone does not say that a service runs a process: without logind, everything that somebody starts over ssh is in ssh.service.
 */
function runs(main: number, holder: Holder, holders: readonly Holder[]): boolean {
  // What forked away from a main process that has exited: nobody but systemd is its parent.
  if (main === 0) return holder.parents.length === 0 || holder.parents[0]?.pid === 1;
  if (holders.some(({ pid, unit }) => pid === main && unit === holder.unit)) return true;
  if (!isFamily(holder, main)) return false;
  const at = holder.parents.findIndex((parent) => parent.pid === main);
  return !holder.parents.slice(0, at + 1).some(beginsSession);
}

/** systemd itself holds the port: which of its socket units is it? */
async function askForSocket({ holder, manager, sockets }: Inquiry, asking: Asking): Promise<Manager> {
  const reach = reachOf(holder.pid === 1 ? null : holder.uid, asking.asker);
  if (reach === null) return denied(manager, another(holder.user));
  const asked = await systemctl(reach, ['list-sockets', '--show-types', '--all', '--no-legend', '--full'], asking);
  if (asked.problem !== null) return denied(manager, asked.problem);
  const listed = parseSockets(asked.text);
  const right = listed.filter(({ listen, type }) => sockets.some((socket) => isAt(socket, listen, type)));
  const units = new Set(right.map(({ unit }) => unit));
  const [unit, ...more] = units;
  if (unit === undefined) return denied(manager, 'systemd lists no socket unit with this address');
  return ordered(manager, [unit, ...more], unit, reach);
}

/** A line of `systemctl list-sockets` is longer than a path (PATH_MAX) by its columns. */
const mostLine = 8_192;

/** Address, type and unit of each line that has them. @internal Exported for the fuzz test. */
export function parseSockets(
  text: string,
): { readonly listen: string; readonly type: string; readonly unit: string }[] {
  return text.split('\n').flatMap((line) => {
    const found = line.length > mostLine ? null : / (Stream|Datagram|SequentialPacket) +(\S+)/.exec(line);
    const [, type = '', unit = ''] = found ?? [];
    return found !== null && unitName.test(unit) ? [{ listen: line.slice(0, found.index).trim(), type, unit }] : [];
  });
}

/** systemd writes addresses as everybody does: `[::]:80`, `127.0.0.1:631`, `/run/x.sock`. */
function isAt(socket: Socket, listen: string, type: string): boolean {
  if (socket.protocol === 'unix') return listen === socket.path;
  const { address, port } = socket.local;
  return type === (socket.protocol === 'tcp' ? 'Stream' : 'Datagram') && listen === formatAddress(address, port);
}

function ordered(manager: Manager, units: readonly string[], name: string, reach: Reach): Manager {
  const [program, options] = ['systemctl', reach.options];
  return confirmed(manager, {
    name,
    order: {
      shown: `${reach.shown} stop ${units.join(' ')}`,
      work: { kind: 'command', program, args: [...options, 'stop', '--', ...units], uid: reach.uid },
    },
  });
}

async function systemctl(
  reach: Reach,
  args: readonly string[],
  { signal }: Asking,
): Promise<{ readonly text: string; readonly problem: string | null }> {
  const result = await runCommand('systemctl', [...reach.options, ...args], {
    timeoutMs: questionMs,
    uid: reach.uid,
    signal,
  });
  const fine = result.failure === null && result.status === 0;
  return { text: result.stdout, problem: fine ? null : `systemd could not be asked: ${complaint(result)}` };
}
