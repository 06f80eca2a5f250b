/** Everything that is seen of a Unix socket. */
import type { Gap } from '../model/facts.ts';
import type { UnixEvidence } from '../model/reach/evidence.ts';
import type { Reaching } from '../os/reaching.ts';
import { type Probe, replyTime } from './inet.ts';

/** Nothing is lost on the way to a Unix socket: what does not answer at once does not answer. */
const replyMs = 1_000;

export async function seeUnix(path: string, instruments: Reaching, probe: Probe): Promise<UnixEvidence> {
  const gaps: Gap[] = [];
  const { connect, request } = probe;
  const timeoutMs = request === null ? Math.max(1, Math.min(replyMs, probe.leftMs())) : replyTime(replyMs, probe);
  const seen = await instruments.unix(path, { connect, request, timeoutMs }, gaps);
  const inodes = (seen.sockets ?? []).filter(({ state }) => state === 'LISTEN').map(({ inode }) => inode);
  const quiet = (seen.request ?? seen.first)?.kind === 'silence' || seen.attempt?.errno === 'EAGAIN';
  const conditions = inodes.length === 0 ? [] : await instruments.conditions(inodes, null, quiet ? 250 : 0, gaps);
  return { ...seen, conditions, gaps };
}
