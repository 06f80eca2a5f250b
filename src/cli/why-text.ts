/**
 * The answer of `why` as text, for somebody who has three seconds: what was asked about and what is in the way, the one command that
 * helps, then the details. Everything that came from another process is escaped here, because only here it is known to go to a terminal.
 */

import { formatAddress } from '../model/address.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import { notRun } from '../model/evidence.ts';
import { escapeText } from '../model/text.ts';
import type { Blocker, Remedy, Report } from '../model/verdict.ts';
import { families, forwardsFor, holderBranches, introduced, ownerless } from './holder-text.ts';
import type { Canvas } from './io.ts';
import { pasted } from './pasted.ts';
import { columnsOf, wrap } from './text.ts';
import { countdown } from './time.ts';
import { count, endpointObject, endpointSubject, marked } from './words.ts';

/** Sockets of one group that are shown one by one. */
const socketsShown = 3;

/** A report as text, with a newline at the end. `nowMs` is when the report was read. */
export function picture(report: Report, canvas: Canvas, nowMs: number): string {
  const [best, ...others] = report.plan;
  const sections = [
    headline(report, canvas, nowMs),
    best === undefined ? [] : remedyLines(best, canvas),
    blockersSection(report.blockers, canvas, nowMs),
    planSection(others, canvas, 'Or'),
    alsoSection(report, canvas),
    gapsSection(report, canvas),
    footer(report, canvas),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** What the first lines say something about: the answer of `why`, or of `free`. */
type Headed = Pick<Report, 'endpoint' | 'bindable' | 'errno' | 'verdict' | 'blockers'>;

/** Several endpoints that are available, as one sentence: neighbours are written as a range. */
export function availableText(reports: readonly Report[], canvas: Canvas): string {
  const words: string[] = [];
  let run: number[] = [];
  const flush = (): void => {
    const [first, last] = [run[0], run.at(-1)];
    if (first !== undefined) words.push(run.length > 2 ? `${first}-${last}` : run.join(', '));
    run = [];
  };
  for (const { endpoint } of reports) {
    const isBare = endpoint.protocol === 'tcp' && /^(::|0\.0\.0\.0)$/.test(endpoint.address);
    if (!isBare || endpoint.port !== (run.at(-1) ?? Number.NaN) + 1) flush();
    if (isBare) run.push(endpoint.port);
    else words.push(endpointObject(endpoint));
  }
  flush();
  return `${wrap(`Available: ${words.join(', ')}`, canvas.width).join('\n')}\n`;
}

/** The first line leads with what was asked about. A cause that says more than who is there follows it. */
export function headline(report: Headed, canvas: Canvas, nowMs: number): string[] {
  const subject = endpointSubject(report.endpoint);
  const said = report.verdict === null ? null : escapeText(report.verdict.sentence);
  if (report.bindable === true) {
    if (said === null) return marked('good', `${subject} is available`, '', canvas);
    return marked('unsure', `${subject} is available, but:`, ` ${said}`, canvas);
  }
  if (report.bindable === null)
    return marked(
      'unsure',
      'Cannot tell',
      ` whether ${endpointObject(report.endpoint)} is available${said === null ? '' : `: ${said}`}`,
      canvas,
    );
  const holder = holderOf(report, canvas, nowMs);
  if (holder === null) {
    // Without a cause the answer of the kernel is all there is to say.
    const errno = said === null && report.errno !== null ? ` (${report.errno})` : '';
    const lines = marked('bad', `${subject} is not available`, errno, canvas);
    return said === null ? lines : [...lines, ...wrap(`${said}.`, canvas.width)];
  }
  const lines = marked('bad', `${subject} is in use`, ` by ${holder}`, canvas);
  // The plain case is said by the first line; that the program is suspended, or accepts nothing, is not.
  const isPlain = report.verdict?.cause === 'other-listener' && (report.verdict.args['conduct'] ?? null) === null;
  return said === null || isPlain ? lines : [...lines, ...wrap(`${said}.`, canvas.width)];
}

/** The process to name first, or null where the port is blocked by something else than a process. */
function holderOf({ errno, blockers }: Headed, canvas: Canvas, nowMs: number): string | null {
  if (errno !== 'EADDRINUSE') return null;
  const all = families(blockers.flatMap(({ holders }) => holders).filter(isFirstOfItsPid));
  const [first, ...others] = all.filter(
    ({ holder }, index) =>
      forwardsFor(holder) === null || all.findIndex((one) => forwardsFor(one.holder) === forwardsFor(holder)) === index,
  );
  if (first !== undefined) {
    const more = others.length === 0 ? '' : ` and ${count(others.length, 'more process', 'more processes')}`;
    return `${introduced(first, canvas, nowMs)}${more}`;
  }
  const owned = blockers.find(({ inode }) => inode !== 0);
  if (owned === undefined) return null;
  return owned.uid === 0 ? 'a process of root, or by the kernel' : `a process of uid ${owned.uid}`;
}

function isFirstOfItsPid<T extends { readonly pid: number }>(holder: T, index: number, all: readonly T[]): boolean {
  return all.findIndex(({ pid }) => pid === holder.pid) === index;
}

/** Sockets with the processes that have them open. */
export function blockersSection(blockers: readonly Blocker[], canvas: Canvas, nowMs: number): string[] {
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
  // The last to expire decides how long it takes, so it is shown first.
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
      ? [wrap(ownerless(first.uid, first.inode), canvas.width - 6)]
      : holderBranches(first.holders, canvas, nowMs);
  if (first.expiresInMs !== null) {
    const which = sockets === 1 ? 'then it is gone' : 'then the last of them is gone';
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
  return `${canvas.paint('strong', `${blocker.protocol} ${local}${remote}`)}  ${stateWords(blocker)}${blocker.certain ? '' : ', may be what blocks it'}`;
}

function addressText({ address, port }: { address: string; port: number }): string {
  return escapeText(formatAddress(address, port));
}

function stateWords({ protocol, state }: Blocker): string {
  if (state === 'LISTEN') return 'listening';
  if (state === 'BOUND') return protocol === 'udp' ? 'bound' : 'bound, not listening';
  return state;
}

/** That another program listens is what the first line says. */
function alsoSection({ errno, also }: Report, canvas: Canvas): string[] {
  return also
    .filter(({ cause }) => errno !== 'EADDRINUSE' || cause !== 'other-listener')
    .flatMap(({ sentence }) => hanging('Also:', escapeText(sentence), canvas));
}

/** What would help, each with its command; nothing when there is nothing. */
export function planSection(plan: readonly Remedy[], canvas: Canvas, heading: string): string[] {
  if (plan.length === 0) return [];
  return [canvas.paint('strong', heading), ...plan.flatMap((remedy) => remedyLines(remedy, canvas))];
}

/** What would help, with its command first. */
export function remedyLines({ sentence, command }: Remedy, canvas: Canvas): string[] {
  const lines = wrap(escapeText(sentence), canvas.width - (command === null ? 2 : 4));
  if (command === null) return lines.map((line) => `  ${line}`);
  // Never wrapped or cut: it is there to be pasted.
  return [`  ${canvas.paint('strong', escapeText(pasted(command, canvas)))}`, ...lines.map((line) => `    ${line}`)];
}

/** What could not be seen. */
export function gapsSection(report: Pick<Report, 'gaps'>, canvas: Canvas): string[] {
  // What has one reason is said together.
  const hints = [...new Set(report.gaps.map(({ hint }) => hint))];
  return hints.flatMap((hint) => {
    const gaps = report.gaps.filter((gap) => gap.hint === hint);
    const isNote = gaps.every(({ why }) => why === notRun);
    const what = gaps.map((gap) => (isNote ? gap.what : `${gap.what} (${gap.why})`)).join('. ');
    return hanging(isNote ? 'Note:' : 'Not seen:', escapeText(`${what}${hint === '' ? '' : `. ${hint}`}`), canvas);
  });
}

/** Where more is said about the cause. */
export function footer(report: Headed, canvas: Canvas): string[] {
  if (report.verdict === null) return [];
  // Never cut: it is there to be pasted.
  const command = pasted(`rebind help ${report.verdict.cause}`, canvas);
  const mark = `${report.errno ?? 'More about this'}:`;
  const text = `${mark} ${command}`;
  const lines = columnsOf(text) <= canvas.width ? [text] : [mark, `  ${command}`];
  return lines.map((line) => canvas.paint('faint', line));
}

/** A faint word, and a text that is wrapped beside it. */
export function hanging(label: string, text: string, canvas: Canvas): string[] {
  const indent = columnsOf(label) + 1;
  const lines = wrap(text, canvas.width - indent);
  return lines.map((line, index) =>
    index === 0 ? `${canvas.paint('faint', label)} ${line}` : ' '.repeat(indent) + line,
  );
}
