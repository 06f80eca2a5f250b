/**
 * Ends what a killed hold has left, by identity: SIGTERM, and SIGKILL after two seconds. Started by guard.ts; each argument is a
 * session, as PID:START,PID:START, its leader first.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessIdentity } from '../model/facts.ts';
import { os } from '../os/index.ts';

const graceMs = 2_000;
const lookEveryMs = 50;

const sessions = process.argv.slice(2).flatMap((text) => {
  const [leader, ...seen] = text.split(',').map(identity);
  return leader === undefined ? [] : (os().sessions.of(leader, seen) ?? []);
});
for (const session of sessions) session.signal('SIGTERM');
for (const until = performance.now() + graceMs; performance.now() < until; await sleep(lookEveryMs))
  if (sessions.every((session) => session.members().length === 0)) break;
for (const session of sessions) session.signal('SIGKILL');

function identity(text: string): ProcessIdentity {
  const [pid = '', started = ''] = text.split(':');
  return { pid: Number(pid), started };
}
