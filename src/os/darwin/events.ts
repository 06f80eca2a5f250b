/**
 * Sleeping until a process exits (a kqueue with NOTE_EXIT) or a descriptor has input. Node's event loop watches the queues; nothing polls. That a
 * socket is gone, macOS tells nobody.
 */
import { UnsupportedError } from '../errors.ts';
import type { EventRequest, EventResult, Events } from '../events.ts';
import { waitFor } from '../wait-for.ts';
import type { LibSystem, Watch } from './lib-system.ts';
import { F_DUPFD_CLOEXEC, failure } from './numbers.ts';
import { queueOf } from './processes.ts';

/** @param lib Called only where something has to be watched. @param lacksSockets Why sockets cannot be watched. */
export function openEvents(lib: () => LibSystem, lacksSockets: () => string): Events {
  return { wait: (what) => wait(what, lib, lacksSockets) };
}

function wait(what: EventRequest, lib: () => LibSystem, lacksSockets: () => string): Promise<EventResult> {
  return waitFor(what, ({ undo, end }) => {
    const { processes = [], descriptors = [], port, background } = what;
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
