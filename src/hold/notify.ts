/**
 * sd_notify(3) for the command: READY=1 and STATUS=… from any language, and the same forwarded to the service manager
 * that runs hold.
 */
import { randomBytes } from 'node:crypto';
import type { Inbox } from '../os/channels.ts';
import { os } from '../os/index.ts';
import { controlPath } from './wire/passed.ts';

/** The socket that one generation writes to. */
export class NotifySocket {
  readonly #inbox: Inbox;

  /**
   * @param of Knows its processes: a message of any other, by the kernel's word, is not heard.
   * @param heard Called with the variables of every message.
   */
  constructor(of: { isProgram(pid: number): boolean }, heard: (variables: ReadonlyMap<string, string>) => void) {
    const name = `notify-${process.pid}-${randomBytes(8).toString('hex')}`;
    this.#inbox = os().channels.openInbox(name, {
      believe: (sender) => of.isProgram(sender.pid),
      onData: (data) => heard(readVariables(data.toString('utf8'))),
    });
  }

  /** The value of NOTIFY_SOCKET. */
  get name(): string {
    return this.#inbox.address;
  }

  close(): void {
    this.#inbox.close();
  }
}

/** Tells the service manager that runs us, when there is one. Nobody listening is no error: sd_notify(3) ignores it too. */
export function notifyManager(variables: Readonly<Record<string, string>>): void {
  const to = process.env['NOTIFY_SOCKET'];
  if (to === undefined || to === '') return;
  const text = Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
  const { sockets } = os();
  const fd = sockets.open('unix-datagram', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path: controlPath(to) });
    sockets.sendDescriptors(fd, [], Buffer.from(text));
  } catch (error) {
    if ((error as { code?: string }).code === undefined) throw error;
  } finally {
    sockets.close(fd);
  }
}

/** What the command says to its manager is meant for ours. Only the one that serves speaks for the service. */
export function passOn(variables: ReadonlyMap<string, string>, serves: boolean): void {
  const status = variables.get('STATUS');
  if (status !== undefined && serves) notifyManager({ STATUS: status });
  const watchdog = variables.get('WATCHDOG');
  // A ping of any of them shows that something lives; `trigger` makes the manager end all of them.
  if (watchdog !== undefined && (serves || watchdog === '1')) notifyManager({ WATCHDOG: watchdog });
}

/** Longer than any status that systemd shows. */
const mostVariables = 64;
const mostValue = 4_096;

/** The lines of a message, `NAME=value` each. @internal Exported for the fuzz test. */
export function readVariables(text: string): Map<string, string> {
  const pairs = text.split('\n', mostVariables).flatMap((part): [string, string][] => {
    const at = part.indexOf('=');
    return at < 1 ? [] : [[part.slice(0, at), part.slice(at + 1, at + 1 + mostValue)]];
  });
  return new Map(pairs);
}
