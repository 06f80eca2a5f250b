/**
 * sd_notify(3) for the command: READY=1 and STATUS=… from any language, and the same forwarded to the service manager
 * that runs hold.
 */
import { randomBytes } from 'node:crypto';
import { os } from '../os/index.ts';
import { controlPath } from './wire/passed.ts';

/** A socket in the abstract namespace that one generation writes to. */
export class NotifySocket {
  /** The value of NOTIFY_SOCKET. */
  readonly name: string;
  readonly #fd: number;
  readonly #stop = new AbortController();

  /** @param heard Called with the variables of every message. */
  constructor(heard: (variables: ReadonlyMap<string, string>) => void) {
    this.name = `@rebind-notify/${process.pid}-${randomBytes(8).toString('hex')}`;
    const { sockets } = os();
    this.#fd = sockets.open('unix-datagram', 4);
    sockets.bind(this.#fd, { protocol: 'unix', path: controlPath(this.name) });
    void this.#read(heard);
  }

  close(): void {
    this.#stop.abort();
  }

  async #read(heard: (variables: ReadonlyMap<string, string>) => void): Promise<void> {
    const { sockets, events } = os();
    try {
      while (!this.#stop.signal.aborted) {
        await events.wait({ descriptors: [this.#fd], timeoutMs: null, signal: this.#stop.signal });
        for (let got = sockets.receiveDescriptors(this.#fd); got !== null; got = sockets.receiveDescriptors(this.#fd)) {
          // FDSTORE=1 sends descriptors; there is no store here.
          for (const descriptor of got.descriptors) sockets.close(descriptor);
          heard(readVariables(got.data.toString('utf8')));
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      sockets.close(this.#fd);
    }
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
  if (watchdog !== undefined) notifyManager({ WATCHDOG: watchdog });
}

function readVariables(text: string): Map<string, string> {
  const pairs = text.split('\n').flatMap((part): [string, string][] => {
    const at = part.indexOf('=');
    return at < 1 ? [] : [[part.slice(0, at), part.slice(at + 1)]];
  });
  return new Map(pairs);
}
