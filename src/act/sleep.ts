/**
 * `events.wait`, or a shorter sleep where the system does not tell that a socket is gone: then the port is looked at again.
 */
import { isNativeError } from '../os/errors.ts';
import type { EventRequest, EventResult } from '../os/events.ts';
import type { Os } from '../os/os.ts';

/** How long is slept where the kernel tells nothing at all. */
const withoutEventsMs = 100;

export type Sleep = (what: EventRequest) => Promise<EventResult>;

/** Remembers that sockets cannot be watched, so that it is tried once. `timeout` may come before its time. */
export function openSleep(os: Os): Sleep {
  let told = os.lacks('socketEvents') === null;
  return async (what) => {
    if (told) {
      try {
        return await os.events.wait(what);
      } catch (error) {
        if (!isNativeError(error)) throw error;
        told = false;
      }
    }
    const { port: _port, ...rest } = what;
    return os.events.wait({ ...rest, timeoutMs: Math.min(rest.timeoutMs ?? withoutEventsMs, withoutEventsMs) });
  };
}
