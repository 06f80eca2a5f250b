/**
 * The answer of `why` as a picture: one sentence, then who, then what to do. Everything that came from another process
 * is escaped here, because only here it is known to go to a terminal.
 */

import { formatAddress } from '../model/address.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import { escapeText } from '../model/text.ts';
import type { Blocker, BlockerHolder, Finding, HolderManager, Remedy, Report } from '../model/verdict.ts';
import type { Canvas } from './io.ts';
import { pasted } from './pasted.ts';
import { columnsOf, shellWords, shorten, shortenPath, wrap } from './text.ts';
import { clock, countdown, duration } from './time.ts';

/** Sockets of one group that are shown one by one. */
const socketsShown = 3;
/** Holders of one group that are shown one by one. */
const holdersShown = 5;

/** A report as text, with a newline at the end. `nowMs` is when the report was read. */
export function picture(report: Report, canvas: Canvas, nowMs: number): string {
  const sections = [
    headline(report, canvas),
    blockersSection(report.blockers, canvas, nowMs),
    alsoSection(report.also, canvas),
    planSection(report.plan, canvas),
    gapsSection(report, canvas),
    footer(report, canvas),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function headline(report: Report, canvas: Canvas): string[] {
  const endpoint = escapeText(formatEndpoint(report.endpoint));
  const said = report.verdict === null ? null : escapeText(report.verdict.sentence);
  if (report.bindable === true) {
    if (said === null) return marked('good', 'Free:', `${endpoint} can be bound now`, canvas);
    return marked('unsure', 'Free, but:', said, canvas);
  }
  if (report.bindable === null)
    return marked('unsure', 'Cannot tell:', said ?? `whether ${endpoint} can be bound`, canvas);
  const errno = report.errno === null ? '' : ` (${report.errno})`;
  return marked('bad', `Blocked${errno}:`, said ?? `${endpoint} cannot be bound`, canvas);
}

/** A coloured word and a sentence, wrapped under the first column. */
function marked(style: 'good' | 'bad' | 'unsure', mark: string, sentence: string, canvas: Canvas): string[] {
  const [first = '', ...more] = wrap(`${mark} ${sentence}`, canvas.width);
  return [canvas.paint(style, first.slice(0, mark.length)) + first.slice(mark.length), ...more];
}

function blockersSection(blockers: readonly Blocker[], canvas: Canvas, nowMs: number): string[] {
  return groups(blockers).flatMap((group, index) => [
    ...(index === 0 ? [] : ['']),
    ...groupLines(group, canvas, nowMs),
  ]);
}

/** Sockets with the same holders belong together: a server and its connections are one thing to the reader. */
function groups(blockers: readonly Blocker[]): Blocker[][] {
  const byHolders = new Map<string, Blocker[]>();
  for (const blocker of blockers) {
    const key = blocker.holders.length === 0 ? blocker.state : blocker.holders.map(({ pid }) => pid).join(' ');
    const group = byHolders.get(key);
    if (group === undefined) byHolders.set(key, [blocker]);
    else group.push(blocker);
  }
  return [...byHolders.values()];
}

function groupLines(group: readonly Blocker[], canvas: Canvas, nowMs: number): string[] {
  // The last to end decides how long it takes, so it is shown first.
  const sorted = group.toSorted((a, b) => (b.expiresInMs ?? 0) - (a.expiresInMs ?? 0));
  const lines = sorted.slice(0, socketsShown).map((blocker) => `  ${socketLine(blocker, canvas)}`);
  const hidden = sorted.length - socketsShown;
  if (hidden > 0)
    lines.push(`  and ${hidden} more ${hidden === 1 ? 'socket' : 'sockets'} like ${hidden === 1 ? 'it' : 'them'}`);
  const [first] = sorted;
  if (first === undefined) return lines;
  return [...lines, ...tree(branches(first, sorted.length, canvas, nowMs), canvas)];
}

/** What hangs below the sockets of a group: each branch is a line and the rows under it. */
function branches(first: Blocker, sockets: number, canvas: Canvas, nowMs: number): string[][] {
  const all =
    first.holders.length === 0
      ? [wrap(ownerless(first), canvas.width - 6)]
      : holderBranches(first.holders, canvas, nowMs);
  if (first.expiresInMs !== null) {
    const which = sockets === 1 ? 'it ends by itself' : 'the last of them ends by itself';
    const time = countdown(first.expiresInMs, nowMs);
    const [line = '', ...more] = wrap(`${time}: ${which}`, canvas.width - 6);
    all.push([canvas.paint('strong', line.slice(0, time.length)) + line.slice(time.length), ...more]);
  }
  return all;
}

function tree(all: readonly (readonly string[])[], canvas: Canvas): string[] {
  const [fork, end, trunk] = canvas.unicode ? ['├─', '└─', '│ '] : ['|-', '`-', '| '];
  return all.flatMap(([line, ...rows], index) => {
    const last = index === all.length - 1;
    return [
      `  ${canvas.paint('faint', last ? end : fork)} ${line}`,
      ...rows.map((row) => `  ${last ? '  ' : canvas.paint('faint', trunk)} ${row}`),
    ];
  });
}

function socketLine(blocker: Blocker, canvas: Canvas): string {
  const between = canvas.unicode ? '↔' : '<->';
  const remote = blocker.remote === null ? '' : ` ${between} ${addressText(blocker.remote)}`;
  const local =
    blocker.protocol === 'unix'
      ? escapeText(formatEndpoint({ protocol: 'unix', path: blocker.local.address }))
      : addressText(blocker.local);
  return `${canvas.paint('strong', `${blocker.protocol} ${local}${remote}`)}  ${stateWords(blocker)}${blocker.certain ? '' : ', perhaps to blame'}`;
}

function addressText({ address, port }: { address: string; port: number }): string {
  return escapeText(formatAddress(address, port));
}

function stateWords({ protocol, state }: Blocker): string {
  if (state === 'LISTEN') return 'listening';
  if (state === 'BOUND') return protocol === 'udp' ? 'bound' : 'bound, not listening';
  return state;
}

/** Whose a socket is when no process was found. An inode says that a process has it open, even when we could not see which. */
function ownerless(blocker: Blocker): string {
  if (blocker.inode !== 0)
    return blocker.uid === 0
      ? 'held by a process of root, or by the kernel'
      : `held by a process of uid ${blocker.uid}`;
  return 'no process has it open: the system itself keeps it';
}

function holderBranches(holders: readonly BlockerHolder[], canvas: Canvas, nowMs: number): string[][] {
  const all = holders.slice(0, holdersShown).map((holder) => holderCard(holder, canvas, nowMs));
  const hidden = holders.slice(holdersShown);
  if (hidden.length > 0) {
    const pids = shorten(hidden.map(({ pid }) => pid).join(', '), canvas.width - 30, canvas.unicode);
    all.push([`and ${hidden.length} more: pid ${pids}`]);
  }
  return all;
}

function holderCard(holder: BlockerHolder, canvas: Canvas, nowMs: number): string[] {
  const command = holder.argv.length === 0 ? `[${escapeText(holder.command)}]` : escapeText(shellWords(holder.argv));
  const startedAtMs = Date.parse(holder.startedAt);
  const rows: [string, string][] = [
    ['pid', `${holder.pid}, user ${escapeText(holder.user)}, ${descriptors(holder.descriptors)}`],
    ['since', `${clock(startedAtMs, nowMs)} (${duration(nowMs - startedAtMs)} ago)`],
  ];
  if (holder.cwd !== null) rows.push(['in', shortenPath(escapeText(holder.cwd), canvas.width - 16, canvas.unicode)]);
  if (holder.parents.length > 0) rows.push(['under', ancestry(holder, canvas)]);
  if (holder.unit !== null) rows.push(['unit', escapeText(holder.unit)]);
  if (holder.container !== null) {
    const { name, id, runtime } = holder.container;
    const shortId = escapeText(id.slice(0, 12));
    rows.push(['container', `${name === null ? shortId : `${escapeText(name)} (${shortId})`}, ${runtime}`]);
  }
  if (holder.manager !== null) rows.push(['manager', managerText(holder.manager)]);
  const labels = Math.max(...rows.map(([label]) => label.length));
  return [
    canvas.paint('strong', shorten(command, canvas.width - 6, canvas.unicode)),
    ...rows.map(([label, text]) => {
      const room = canvas.width - 7 - labels;
      return `${canvas.paint('faint', label.padEnd(labels))}  ${shorten(text, room, canvas.unicode)}`;
    }),
  ];
}

function managerText({ kind, name, pid, confirmed }: HolderManager): string {
  const known = /^[0-9a-f]{64}$/.test(name ?? '') ? name?.slice(0, 12) : name;
  const what = `${kind}${known == null ? '' : ` ${escapeText(known)}`}${pid === null ? '' : `, pid ${pid}`}`;
  return confirmed ? what : `looks like ${what}`;
}

function descriptors(numbers: readonly number[]): string {
  const shown = numbers.slice(0, 6).join(', ');
  const more = numbers.length > 6 ? `, and ${numbers.length - 6} more` : '';
  return `${numbers.length === 1 ? 'descriptor' : 'descriptors'} ${shown}${more}`;
}

function ancestry(holder: BlockerHolder, canvas: Canvas): string {
  const arrow = canvas.unicode ? ' ← ' : ' <- ';
  const steps: string[] = [];
  for (const [index, { pid, command }] of holder.parents.entries()) {
    // A shell in a shell in a shell is one step.
    if (holder.parents[index - 1]?.command === command) steps.push(`${steps.pop()}, ${pid}`);
    else steps.push(`${escapeText(command)} ${pid}`);
  }
  return steps.join(arrow);
}

function alsoSection(also: readonly Finding[], canvas: Canvas): string[] {
  return also.flatMap(({ sentence }) => hanging('Also:', escapeText(sentence), canvas));
}

/** What would help, numbered; nothing when there is nothing. */
export function planSection(plan: readonly Remedy[], canvas: Canvas): string[] {
  if (plan.length === 0) return [];
  const lines = [canvas.paint('strong', 'What to do')];
  for (const [index, remedy] of plan.entries()) {
    const number = `${index + 1}.`;
    const sentence = wrap(escapeText(remedy.sentence), canvas.width - 5);
    for (const [row, line] of sentence.entries()) lines.push(`  ${row === 0 ? number : '  '} ${line}`);
    // Never wrapped or cut: it is there to be pasted.
    if (remedy.command !== null)
      lines.push(`       ${canvas.paint('strong', escapeText(pasted(remedy.command, canvas)))}`);
  }
  return lines;
}

/** What could not be seen. */
export function gapsSection(report: Pick<Report, 'gaps'>, canvas: Canvas): string[] {
  return report.gaps.flatMap(({ what, why, hint }) =>
    hanging('Not seen:', escapeText(`${what} (${why})${hint === '' ? '' : `; ${hint}`}`), canvas),
  );
}

function footer(report: Report, canvas: Canvas): string[] {
  if (report.verdict === null) return [];
  // Never cut: it is there to be pasted.
  const command = pasted(`rebind help ${report.verdict.cause}`, canvas);
  const text = `More about this: ${command}`;
  const lines = columnsOf(text) <= canvas.width ? [text] : ['More about this:', `  ${command}`];
  return lines.map((line) => canvas.paint('faint', line));
}

/** A faint word, and a text that is wrapped beside it. */
function hanging(label: string, text: string, canvas: Canvas): string[] {
  const indent = columnsOf(label) + 1;
  const lines = wrap(text, canvas.width - indent);
  return lines.map((line, index) =>
    index === 0 ? `${canvas.paint('faint', label)} ${line}` : ' '.repeat(indent) + line,
  );
}
