/**
 * What a person sees while hold runs: one calm line an event, on stderr, and nothing mixed into the program's own output.
 */

import type { Hold } from '../hold/index.ts';
import { endpointInWords, formatEndpoint } from '../model/endpoint.ts';
import { escapeText } from '../model/text.ts';
import { countsText } from './hold-status-text.ts';
import { canvas, type Io, type Style } from './io.ts';
import type { Log } from './log.ts';
import { shellWords, shorten } from './text.ts';

/** Output lines of a refused process that are repeated. */
const mostLines = 10;

/** Columns of a command in a sentence. */
const commandRoom = 40;

/** Tells every event of a hold. @param command What it runs */
export function tellEvents(held: Hold, command: readonly string[], io: Io, log: Log): void {
  const { paint } = canvas({ ...io, stderr: log }, 'stderr');
  const tell = (text: string, style: Style = 'faint'): void => {
    log.tell(`${paint(style, 'rebind:')} ${escapeText(text)}`);
  };
  const quote = (lines: readonly string[]): void => {
    // On a terminal the program has just written them itself.
    if (log.isTTY) return;
    for (const one of lines.slice(0, mostLines)) log.tell(`  ${escapeText(one)}`);
  };
  if (held.endpoints.length > 0) tell(`Holding ${held.endpoints.map(endpointInWords).join(', ')}`);
  else tell('Waiting for the program to listen, to learn its port');
  let ready = 0;
  held.on('start', ({ generation, pid, reason }) => {
    if (generation > 1) tell(`Starting generation ${generation} (pid ${pid}): ${reason}`);
  });
  held.on('ready', ({ generation, pid, afterMs, by }) => {
    ready = generation;
    const how = by === 'assumed' ? 'is treated as ready' : 'is ready';
    const name = generation === 1 ? shorten(shellWords(command), commandRoom) : `Generation ${generation}`;
    tell(`${name} (pid ${pid}) ${how} (${Math.round(afterMs)} ms)`, 'good');
  });
  held.on('learned', ({ endpoint }) => tell(`Learned ${formatEndpoint(endpoint)}: it stays open from now on`));
  held.on('leased', ({ asked, port }) =>
    tell(`Port ${asked} of the program is port ${port} here: http://localhost:${port}`, 'good'),
  );
  held.on('refused', ({ why, lastLines, serving }) => {
    tell(`${why}; ${serving === null ? 'nothing serves' : `generation ${serving} keeps serving`}`, 'bad');
    quote(lastLines);
  });
  held.on('crash', ({ generation, exit, lastLines, againInMs }) => {
    const how = exit.signal === null ? `exited with status ${exit.code}` : `was killed by ${exit.signal}`;
    const when = generation > ready ? ' before it was ready' : '';
    const next =
      againInMs === null
        ? 'it is not restarted automatically'
        : againInMs === 0
          ? 'restarting; connections wait'
          : `restarting in ${Math.round(againInMs)} ms; connections wait`;
    tell(`Generation ${generation} ${how}${when}: ${next}`, 'bad');
    quote(lastLines);
  });
  held.on('retired', ({ generation, counts, forced }) => {
    const what = counts === null ? '' : `: ${countsText(counts)}`;
    tell(`Generation ${generation} ${forced ? 'was killed' : 'exited'}${what}`, forced ? 'bad' : 'faint');
  });
  held.on('tookOver', ({ pid, ended }) => {
    tell(
      ended
        ? `Process ${pid}, whose socket was taken over, has exited`
        : `Process ${pid} did not exit; it still has the socket open`,
    );
  });
  held.on('leaving', ({ forMs }) =>
    tell(`Stopping: accepting connections for another ${forMs / 1000} s, until no new connections are sent here`),
  );
  held.on('note', ({ sentence }) => tell(sentence));
}
