/**
 * What this library tells by Node's diagnostics_channel. Nothing is made or called where nobody subscribed.
 */
import { channel } from 'node:diagnostics_channel';
import type { Closed } from './closed.ts';

/** Where a server is in its life. */
export type ServerState = 'listening' | 'lame-duck' | 'draining' | 'finishing' | 'closed';

const state = channel('rebind:state');
const closeStart = channel('rebind:close:start');
const closeEnd = channel('rebind:close:end');

/** `rebind:state` `{ server, state }` */
export function publishState(server: object, now: ServerState): void {
  if (state.hasSubscribers) state.publish({ server, state: now });
}

/** `rebind:close:start` `{ server, lameDuckMs, graceMs }` */
export function publishCloseStart(server: object, lameDuckMs: number, graceMs: number): void {
  if (closeStart.hasSubscribers) closeStart.publish({ server, lameDuckMs, graceMs });
}

/** `rebind:close:end` `{ server, finished, idle, killed, workLeft, lameDuckMs, elapsedMs }` */
export function publishCloseEnd(server: object, closed: Closed): void {
  if (closeEnd.hasSubscribers) closeEnd.publish({ server, ...closed });
}
