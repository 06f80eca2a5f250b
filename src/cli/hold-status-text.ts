/**
 * `rebind hold --status` for a person.
 */
import type { HoldStatus, LiveGeneration, PastGeneration } from '../hold/index.ts';
import { escapeText } from '../model/text.ts';
import type { Canvas } from './io.ts';
import { shellWords } from './text.ts';
import { clock } from './time.ts';

/** Of the past, the newest. */
const mostPast = 10;

export function statusText(status: HoldStatus, { paint }: Canvas, nowMs: number): string {
  const lines = status.endpoints.map(({ endpoint, waiting, limit }) => {
    const queue = waiting === null ? '' : `: ${waiting} of ${limit ?? '?'} connections wait to be accepted`;
    return `${paint('strong', escapeText(endpoint))}${queue}`;
  });
  lines.push(`held by rebind hold (pid ${status.pid}) for ${escapeText(shellWords(status.command))}`);
  if (status.current === null) lines.push('nothing serves now');
  else lines.push(live(status.current, 'serves', nowMs));
  if (status.next !== null) lines.push(live(status.next, 'starts', nowMs));
  for (const generation of status.draining) lines.push(live(generation, 'drains', nowMs));
  // A hold of an earlier version tells of none.
  for (const { sentence, times } of status.faults ?? [])
    lines.push(`${escapeText(sentence)}${times === 1 ? '' : `; ${times} times`}`);
  for (const generation of status.past.slice(-mostPast).reverse()) lines.push(past(generation, nowMs));
  return `${lines.join('\n')}\n`;
}

function live(generation: LiveGeneration, verb: string, nowMs: number): string {
  const ready = generation.readyAfterMs === null ? 'not ready yet' : `ready after ${generation.readyAfterMs} ms`;
  const since = clock(Date.parse(generation.startedAt), nowMs);
  return `generation ${generation.generation} (pid ${generation.pid ?? '?'}) ${verb}: started ${since}, ${ready}`;
}

function past(generation: PastGeneration, nowMs: number): string {
  // The line begins with its number.
  const why = generation.why === null ? '' : `: ${escapeText(generation.why.replace(/^Generation \d+ /, ''))}`;
  const counts = generation.counts === null ? '' : `, ${countsText(generation.counts)}`;
  return `generation ${generation.generation} ${generation.outcome} ${clock(Date.parse(generation.endedAt), nowMs)}${counts}${why}`;
}

/** How the connections of a generation ended. */
export function countsText({ finished, idle, killed, handedOff }: NonNullable<PastGeneration['counts']>): string {
  const parts = [
    [finished, 'finished'],
    [idle, 'idle'],
    [handedOff, 'handed on'],
    [killed, 'cut off'],
  ] as const;
  const some = parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  return some.length === 0 ? 'no connection was open' : `connections: ${some.join(', ')}`;
}
