/**
 * Sleeping until a process exits (a kqueue with NOTE_EXIT) or a descriptor has input. Node's event loop watches the queues; nothing polls. That a
 * socket is gone, macOS tells nobody.
 */
import { UnsupportedError } from '../errors.ts';
import type { EventRequest, EventResult, Events } from '../events.ts';
import type { LibSystem, Watch } from './lib-system.ts';
import { F_DUPFD_CLOEXEC, failure } from './numbers.ts';
import { queueOf } from './processes.ts';

const longestTimeoutMs = 2 ** 31 - 1;

/** @param lib Called only where something has to be watched. @param lacksSockets Why sockets cannot be watched. */
export function openEvents(lib: () => LibSystem, lacksSockets: () => string): Events {
  return { wait: (what) => wait(what, lib, lacksSockets) };
}

function wait(what: EventRequest, lib: () => LibSystem, lacksSockets: () => string): Promise<EventResult> {
  return new Promise((resolve, reject) => {
    const { processes = [], descriptors = [], port, timeoutMs, signal, background, ready } = what;
    if (signal?.aborted) return reject(signal.reason);
    const undo: (() => void)[] = [];
    const stop = (): void => {
      for (const step of undo.splice(0)) step();
    };
    const end = (result: EventResult): void => {
      stop();
      resolve(result);
    };
    const fail = (error: unknown): void => {
      stop();
      reject(error);
    };
    try {
      if (port !== undefined) throw new UnsupportedError(lacksSockets());
      for (const process of processes) {
        const kq = queueOf(process);
        if (kq === null) throw new Error(`The handle of process ${process.identity.pid} is closed`);
        undo.push(watchDescriptor(lib(), kq, () => end({ kind: 'exit', process })));
        // Its end was read before: the queue is empty, and would stay so.
        if (!process.isAlive()) setImmediate(() => end({ kind: 'exit', process }));
      }
      for (const descriptor of descriptors)
        undo.push(watchDescriptor(lib(), descriptor, () => end({ kind: 'readable', descriptor }), background));
      if (timeoutMs !== null) {
        const timer = setTimeout(() => end({ kind: 'timeout' }), Math.min(Math.max(0, timeoutMs), longestTimeoutMs));
        undo.push(() => clearTimeout(timer));
      }
      if (signal !== undefined) {
        const abort = (): void => fail(signal.reason);
        signal.addEventListener('abort', abort, { once: true });
        undo.push(() => signal.removeEventListener('abort', abort));
      }
      if (ready?.() === true) end({ kind: 'ready' });
    } catch (error) {
      fail(error);
    }
  });
}

/** Watches a duplicate: the event loop takes a number only once, and the owner may close its own at any time. */
function watchDescriptor(lib: LibSystem, fd: number, onReadable: () => void, background = false): () => void {
  const copy = lib.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy === -1) throw failure('fcntl', lib.errno());
  let watch: Watch;
  try {
    watch = lib.watch(copy, onReadable);
    if (background) watch.unref();
  } catch (error) {
    lib.close(copy);
    throw error;
  }
  return () => {
    watch.close();
    lib.close(copy);
  };
}
