/**
 * pm2, asked over the socket of the daemon that is there; its command would start one. The protocol is axon's: messages of arguments, each
 * with its length in front, of which the last is the request's number (pm2/modules/pm2-axon-rpc).
 */
import { basename, dirname, join } from 'node:path';
import type { Holder } from '../../model/facts.ts';
import type { Manager } from '../../model/managers.ts';
import { shellWord } from '../../model/text.ts';
import type { Os } from '../../os/os.ts';
import { type Ask, type Asking, askAs, confirmed, denied, familyBelow, type Inquiry, questionMs } from './inquiry.ts';
import { talk } from './talk.ts';

/** An instance of an application, as the daemon lists it. */
export interface Instance {
  readonly id: number;
  readonly name: string;
  readonly pid: number;
  readonly cluster: boolean;
}

export const askPm2: Ask = (inquiries, asking) => {
  const lists = new Map<number, ReturnType<typeof listOf>>();
  return Promise.all(
    inquiries.map(async (inquiry) => {
      const pid = inquiry.manager.pid ?? 0;
      const list = lists.get(pid) ?? listOf(pid, asking);
      lists.set(pid, list);
      return answerTo(inquiry, await list);
    }),
  );
};

type Listed =
  | { readonly socket: string; readonly uid: number; readonly home: string; readonly instances: readonly Instance[] }
  | { readonly problem: string };

async function listOf(pid: number, { os, asker, signal }: Asking): Promise<Listed> {
  const identity = os.processes.identify(pid);
  const daemon: Holder | null = identity === null ? null : os.readProcess(identity);
  if (daemon === null) return { problem: 'its daemon has exited' };
  // Connecting hands over no rights, so the user who called sudo may be asked as root.
  if (askAs(daemon.uid, asker) === null)
    return { problem: `it is the pm2 of user ${daemon.user}, and only that user can run this` };
  const socket = os.processes.listeningPaths(pid).find((path) => basename(path) === 'rpc.sock');
  if (socket === undefined) return { problem: 'it has no socket to ask it through' };
  try {
    const list = await call({ os, path: socket, uid: daemon.uid, timeoutMs: questionMs, signal }, 'getMonitorData', {});
    return { socket, uid: daemon.uid, home: dirname(socket), instances: instancesIn(list) };
  } catch (error) {
    signal?.throwIfAborted();
    return { problem: `pm2 could not be asked: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function answerTo({ holder, manager }: Inquiry, listed: Listed): Manager {
  if ('problem' in listed) return denied(manager, listed.problem);
  const { instances, socket, uid, home } = listed;
  const family = familyBelow(holder, manager.pid ?? 0);
  const names = new Set(
    // The daemon listens for the applications in cluster mode, and does not say for which.
    (holder.pid === manager.pid
      ? instances.filter(({ cluster, pid }) => cluster && pid > 0)
      : instances.filter(({ pid }) => family.has(pid))
    ).map(({ name }) => name),
  );
  const [name] = names;
  if (name === undefined) return denied(manager, 'pm2 lists no application that it is');
  if (names.size > 1)
    return denied(manager, `it is one of the applications ${[...names].join(', ')}, and only you can tell which`);
  const ids = instances.filter((each) => each.name === name).map(({ id }) => id);
  return confirmed(manager, {
    name,
    order: { shown: `${homeFor(home)}pm2 stop ${shellWord(name)}`, work: { kind: 'pm2', socket, uid, ids } },
  });
}

/** A daemon with another home is another pm2 to its command. */
function homeFor(home: string): string {
  const usual = process.env['PM2_HOME'] ?? join(process.env['HOME'] ?? '', '.pm2');
  return home === usual ? '' : `PM2_HOME=${shellWord(home)} `;
}

/** Tells the daemon to stop instances, and waits until it did. */
export async function stopInPm2(
  os: Os,
  work: { readonly socket: string; readonly uid: number; readonly ids: readonly number[] },
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await Promise.all(
    work.ids.map((id) => call({ os, path: work.socket, uid: work.uid, timeoutMs, signal }, 'stopProcessId', id)),
  );
}

async function call(to: Parameters<typeof talk>[0], method: string, argument: unknown): Promise<unknown> {
  const request = pack([`j:${JSON.stringify({ type: 'call', method, args: [argument] })}`, 's:rebind:0']);
  const answer = await talk(to, request, (bytes) => unpack(bytes));
  const { error, args } = answer as { error?: unknown; args?: unknown };
  if (error !== undefined) throw new Error(typeof error === 'string' ? error : 'it refused');
  return Array.isArray(args) ? args[0] : null;
}

/** One byte with the version (1) and the number of arguments, then each with its length. */
function pack(args: readonly string[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0x10 | args.length])];
  for (const arg of args) {
    const bytes = Buffer.from(arg);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

/** The first argument of a whole message, which is JSON; null when more is to come. @throws {Error} when it is no message */
export function unpack(bytes: Buffer): object | null {
  const [head] = bytes;
  if (head === undefined) return null;
  if (head >> 4 !== 1 || (head & 0x0f) === 0) throw new Error('it answered in another protocol');
  if (bytes.length < 5) return null;
  const length = bytes.readUInt32BE(1);
  if (bytes.length < 5 + length) return null;
  const text = bytes.toString('utf8', 5, 5 + length);
  const value: unknown = text.startsWith('j:') ? JSON.parse(text.slice(2)) : null;
  if (typeof value !== 'object' || value === null) throw new Error('it answered in another protocol');
  return value;
}

/** What of the daemon's list is as it should be. */
export function instancesIn(list: unknown): Instance[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((each: unknown) => {
    if (typeof each !== 'object' || each === null) return [];
    const { pm_id: id, name, pid, pm2_env: environment } = each as Record<string, unknown>;
    const mode =
      typeof environment === 'object' && environment !== null
        ? (environment as Record<string, unknown>)['exec_mode']
        : null;
    return isCount(id) && typeof name === 'string' && isCount(pid)
      ? [{ id, name, pid, cluster: mode === 'cluster_mode' }]
      : [];
  });
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
