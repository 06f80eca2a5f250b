/**
 * supervisord, asked by XML-RPC over its own Unix socket (supervisord.org/api.html). Where it has only a TCP port, or wants a password, it is not asked.
 */
import type { Manager } from '../../model/managers.ts';
import { shellWord } from '../../model/text.ts';
import type { Os } from '../../os/os.ts';
import { type Ask, type Asking, askAs, confirmed, denied, familyBelow, type Inquiry, questionMs } from './inquiry.ts';
import { talk } from './talk.ts';

/** Where Debian's configuration has it; its command looks there by itself. */
const usualSockets = ['/var/run/supervisor.sock', '/run/supervisor.sock', '/run/supervisor/supervisor.sock'];

/** A program that it runs. */
export interface Program {
  /** As its command takes it: `group:name`, or the name alone where they are the same. */
  readonly name: string;
  readonly pid: number;
}

export const askSupervisord: Ask = (inquiries, asking) =>
  Promise.all(inquiries.map((inquiry) => askAbout(inquiry, asking)));

async function askAbout({ holder, manager }: Inquiry, { os, asker, signal }: Asking): Promise<Manager> {
  const pid = manager.pid ?? 0;
  const identity = os.processes.identify(pid);
  const daemon = identity === null ? null : os.readProcess(identity);
  if (daemon === null) return denied(manager, 'it is gone');
  if (askAs(daemon.uid, asker) === null && daemon.uid !== 0)
    return denied(manager, `it is the supervisord of user ${daemon.user}, and only that user can run this`);
  const socket = os.processes.listeningPaths(pid).map(publicName)[0];
  if (socket === undefined)
    return denied(
      manager,
      asker.uid === daemon.uid ? 'it has no Unix socket to ask it through' : 'only root can ask it',
    );
  let programs: readonly Program[];
  try {
    const text = await call(
      { os, path: socket, uid: daemon.uid, timeoutMs: questionMs, signal },
      'supervisor.getAllProcessInfo',
      [],
    );
    programs = programsIn(text);
  } catch (error) {
    signal?.throwIfAborted();
    return denied(manager, `supervisord could not be asked: ${error instanceof Error ? error.message : String(error)}`);
  }
  const family = familyBelow(holder, pid);
  const program = programs.find((each) => family.has(each.pid));
  if (program === undefined) return denied(manager, 'supervisord lists no program that it is');
  const at = usualSockets.includes(socket) ? '' : ` -s ${shellWord(`unix://${socket}`)}`;
  return confirmed(manager, {
    name: program.name,
    order: {
      shown: `supervisorctl${at} stop ${shellWord(program.name)}`,
      work: { kind: 'supervisord', socket, uid: daemon.uid, program: program.name },
    },
  });
}

/** It binds under a name with a number at the end and links that to the right one (supervisor/http.py, supervisor_af_unix_http_server). */
function publicName(path: string): string {
  return path.replace(/\.\d+$/, '');
}

/** Tells it to stop a program, and waits until it did. */
export async function stopInSupervisord(
  os: Os,
  work: { readonly socket: string; readonly uid: number; readonly program: string },
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await call({ os, path: work.socket, uid: work.uid, timeoutMs, signal }, 'supervisor.stopProcess', [work.program]);
}

async function call(to: Parameters<typeof talk>[0], method: string, params: readonly string[]): Promise<string> {
  const body = `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params
    .map((value) => `<param><value><string>${escapeXml(value)}</string></value></param>`)
    .join('')}</params></methodCall>`;
  const head = `POST /RPC2 HTTP/1.0\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const text = await talk(to, Buffer.from(head + body), (bytes, isAll) => responseIn(bytes, isAll));
  const fault = faultIn(text);
  if (fault !== null) throw new Error(fault);
  return text;
}

/** The complaint in an answer that is one, or null. @internal Exported for the fuzz test. */
export function faultIn(text: string): string | null {
  const at = text.indexOf('<fault>');
  return at < 0 ? null : memberOf(text.slice(at), 'faultString');
}

/** The body of an HTTP response that is whole, or null. @throws {Error} when it is a refusal */
export function responseIn(bytes: Buffer, isAll: boolean): string | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = bytes.toString('latin1', 0, end);
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
  if (status === '401') throw new Error('it asks for a password');
  if (status !== '200') throw new Error(`it answered ${status ?? 'in another protocol'}`);
  const length = /^content-length:\s*(\d+)/im.exec(head)?.[1];
  const body = bytes.subarray(end + 4);
  if (length === undefined ? !isAll : body.length < Number(length)) return null;
  return body.toString('utf8');
}

/** The programs in its list: of each `<struct>` the members `name`, `group` and `pid`. */
export function programsIn(text: string): Program[] {
  return text
    .split('<struct>')
    .slice(1)
    .flatMap((struct) => {
      const [name, group, pid] = [
        memberOf(struct, 'name'),
        memberOf(struct, 'group'),
        Number(memberOf(struct, 'pid') ?? 0),
      ];
      if (name === null || group === null || !Number.isSafeInteger(pid) || pid <= 0) return [];
      return [{ name: name === group ? name : `${group}:${name}`, pid }];
    });
}

/** The value of the first member of that name. The patterns begin where they must match, so that their work is bounded by the length. */
function memberOf(text: string, name: string): string | null {
  const tag = `<name>${name}</name>`;
  const at = text.indexOf(tag);
  const value = at < 0 ? null : /^\s*<value>\s*(?:<(?:string|int|i4)>)?([^<]*)/.exec(text.slice(at + tag.length));
  return value === null ? null : unescapeXml(value[1] ?? '');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescapeXml(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
}
