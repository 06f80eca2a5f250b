/**
 * The answer of `reach` as text: one sentence, the path with a mark where it fails, which process, what to do, what could not be seen.
 * Everything that came from another process or host is escaped here.
 */

import type { Place, ReachedAddress, ReachReport } from '../model/reach/report.ts';
import { formatTarget, isLiteral, type Target } from '../model/reach/target.ts';
import { escapeText } from '../model/text.ts';
import type { Remedy } from '../model/verdict.ts';
import type { Canvas } from './io.ts';
import { pasted } from './pasted.ts';
import { columnsOf, wrap } from './text.ts';
import { blockersSection, hanging, remedyLines } from './why-text.ts';
import { marked } from './words.ts';

/** The whole picture is at most this long; what does not fit is in the JSON document. */
const longest = 20;

/** A report as text, with a newline at the end. `nowMs` is when the report was read. */
export function reachPicture(report: ReachReport, canvas: Canvas, nowMs: number): string {
  const sections = [
    headline(report, canvas),
    pathLine(report, canvas),
    addressLines(report, canvas),
    report.reachable === true ? [] : listenerLines(report, canvas, nowMs),
    planLines(report.plan, canvas),
    report.also.slice(0, 2).flatMap(({ sentence }) => hanging('Also:', escapeText(sentence), canvas)),
    report.gaps
      .slice(0, 2)
      .flatMap(({ what, why, hint }) =>
        hanging('Not seen:', escapeText(`${what} (${why})${hint === '' ? '' : `. ${hint}`}`), canvas),
      ),
    footer(report, canvas),
  ].filter((lines) => lines.length > 0);
  return `${fitted(sections).join('\n')}\n`;
}

/** Empty lines between the sections, as long as there is room for them; then the sections in the middle become shorter. */
function fitted(sections: readonly (readonly string[])[]): string[] {
  const loose = sections.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
  if (loose.length <= longest) return loose;
  const [first = [], second = [], ...rest] = sections;
  const tight = [...first, ...second, ...rest.flat()];
  if (tight.length <= longest) return tight;
  const last = tight.at(-1) ?? '';
  return [...tight.slice(0, longest - 1), last];
}

/** The target as it was typed, more or less: `port 3000` stands for every address of localhost. */
export function targetInWords(target: Target): string {
  if (target.protocol !== 'unix' && target.host === 'localhost')
    return `${target.protocol === 'udp' ? 'UDP ' : ''}localhost:${target.port}`;
  return formatTarget(target);
}

function headline(report: ReachReport, canvas: Canvas): string[] {
  const target = escapeText(targetInWords(report.target));
  const said = report.verdict === null ? null : `${escapeText(report.verdict.sentence)}.`;
  if (report.reachable === true) {
    const answered = report.addresses.some(({ outcome }) => outcome === 'answered');
    const lines = marked('good', `${target} ${answered ? 'answers' : 'accepts connections'}`, via(report), canvas);
    return said === null ? lines : [...lines, ...wrap(`But: ${said}`, canvas.width)];
  }
  const errno = report.errno === null ? '' : ` (${report.errno})`;
  if (report.reachable === null)
    return [
      ...marked('unsure', 'Cannot tell', ` whether ${target} can be reached${errno}`, canvas),
      ...(said === null ? [] : wrap(said, canvas.width)),
    ];
  return [
    ...marked('bad', `${target} cannot be reached`, errno, canvas),
    ...wrap(said ?? `${plainly(report)}.`, canvas.width),
  ];
}

function via({ addresses }: ReachReport): string {
  const through = addresses.find(({ outcome }) => outcome === 'answered' || outcome === 'accepted');
  if (through === undefined) return '';
  const ms = through.elapsedMs === null ? '' : ` after ${milliseconds(through.elapsedMs)}`;
  return ` (${escapeText(through.address)}${ms})`;
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** What happened, where the reason cannot be proved. */
function plainly({ errno, addresses, target }: ReachReport): string {
  const where = addresses.length === 1 ? (addresses[0]?.address ?? targetInWords(target)) : targetInWords(target);
  const place = escapeText(where);
  switch (errno) {
    case 'ECONNREFUSED':
      return `${place} refused the connection; what refused it cannot be proved from here`;
    case 'ETIMEDOUT':
      return `${place} did not answer; where it is lost cannot be proved from here`;
    case 'ECONNRESET':
      return `${place} accepted the connection and closed it before an answer`;
    default:
      return `The connection to ${place} failed; the reason cannot be proved from here`;
  }
}

/** `client → name → route → firewall → listener ✗ queue`, the part that was not reached faint. */
function pathLine(report: ReachReport, canvas: Canvas): string[] {
  const places = placesOf(report);
  const arrow = canvas.unicode ? ' → ' : ' -> ';
  const [good, bad] = canvas.unicode ? ['✓', '✗'] : ['ok', 'x'];
  if (report.reachable === true) {
    const line = `${places.join(arrow)} ${good}`;
    return [`  ${canvas.paint('faint', line)}`];
  }
  const at = report.failsAt === null ? -1 : places.indexOf(report.failsAt);
  if (at < 0) return [];
  const before = places.slice(0, at + 1).join(arrow);
  const after = places.slice(at + 1).join(arrow);
  const line = `${before} ${canvas.paint('bad', bad)}${after === '' ? '' : canvas.paint('faint', `  ${after}`)}`;
  return columnsOf(`${before} ${bad}  ${after}`) + 2 <= canvas.width
    ? [`  ${line}`]
    : [`  ${before} ${canvas.paint('bad', bad)}`];
}

/** The places that this target has. Of another machine nothing is known but that it is there. */
function placesOf({ target, addresses, failsAt }: ReachReport): Place[] {
  if (target.protocol === 'unix') return ['client', 'file', 'listener', 'queue', 'process', 'answer'];
  const name: Place[] = isLiteral(target.host) ? [] : ['name'];
  const ours = addresses.some(({ evidence }) =>
    evidence.some(({ fact, value }) => fact === 'address-is-ours' && value === true),
  );
  const elsewhere = !ours || failsAt === 'network' || failsAt === 'server';
  const rest: Place[] = elsewhere ? ['network', 'server', 'answer'] : ['listener', 'queue', 'process', 'answer'];
  return ['client', ...name, 'route', 'firewall', ...rest];
}

/** Each address of a name that has several, with what it did. */
function addressLines({ addresses }: ReachReport, canvas: Canvas): string[] {
  if (addresses.length < 2) return [];
  const shown = addresses.slice(0, 4);
  const width = Math.max(...shown.map(({ address }) => columnsOf(escapeText(address))));
  const lines = shown.map(
    (each) => `  ${canvas.paint('strong', escapeText(each.address).padEnd(width))}  ${outcomeWords(each)}`,
  );
  const more = addresses.length - shown.length;
  return more > 0 ? [...lines, `  and ${more} more`] : lines;
}

function outcomeWords({ outcome, errno, elapsedMs, from }: ReachedAddress): string {
  const ms = elapsedMs === null ? '' : ` after ${milliseconds(elapsedMs)}`;
  const said = errno === null ? '' : `, ${errno}`;
  const source = from === 'hosts' ? ' (hosts file)' : '';
  switch (outcome) {
    case 'answered':
      return `answers${ms}${source}`;
    case 'accepted':
      return `accepts${ms}${source}`;
    case 'no-answer':
      return `no answer${said}${source}`;
    case 'not-tried':
      return `not tried${source}`;
    default:
      return `${outcome}${said}${ms}${source}`;
  }
}

/** The processes that the verdict is about. */
function listenerLines({ listeners, failsAt }: ReachReport, canvas: Canvas, nowMs: number): string[] {
  if (failsAt === 'name' || failsAt === 'route' || failsAt === 'network' || failsAt === 'server') return [];
  return blockersSection(listeners.slice(0, 2), canvas, nowMs).slice(0, 8);
}

function planLines(plan: readonly Remedy[], canvas: Canvas): string[] {
  return plan.slice(0, 3).flatMap((remedy) => remedyLines(remedy, canvas));
}

function footer({ verdict, errno }: ReachReport, canvas: Canvas): string[] {
  if (verdict === null) return [];
  const command = pasted(`rebind help ${verdict.cause}`, canvas);
  return [canvas.paint('faint', `${errno ?? 'More about this'}: ${command}`)];
}
