/**
 * The answer of `free` as text: the endpoint's state, then each step and what became of it.
 */
import { type FreeReport, type FreeStep, onlyPlanned } from '../free.ts';
import { programName } from '../model/program.ts';
import { escapeText } from '../model/text.ts';
import type { Remedy } from '../model/verdict.ts';
import type { Canvas, Style } from './io.ts';
import { wrap } from './text.ts';
import { footer, gapsSection, planSection, headline as whyHeadline } from './why-text.ts';
import { endpointObject, endpointSubject, marked } from './words.ts';

/** The report with a newline at the end. `yes`: steps that need confirmation are confirmed. */
export function stepsPicture(report: FreeReport, canvas: Canvas, yes: boolean, nowMs: number): string {
  const isFree = report.bindable === true;
  const help = isFree ? [] : report.plan.filter((remedy) => !isCovered(report, remedy));
  const steps = [...stepLines(report.steps, canvas, !yes), ...respawnLines(report, canvas)];
  const sections = [
    // What is done is one answer; what is in the way is a paragraph.
    isFree ? [...headline(report, canvas, nowMs), ...steps] : headline(report, canvas, nowMs),
    isFree ? [] : steps,
    planSection(help, canvas, 'What to do'),
    isFree ? [] : gapsSection(report, canvas),
    isFree ? [] : footer(report, canvas),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** Steps as they stand before anything is done, for the question on the terminal. */
export function planPicture(steps: readonly FreeStep[], canvas: Canvas): string {
  return `${stepLines(steps, canvas, false).join('\n')}\n`;
}

/** As `why` says it, where the port is still blocked. */
function headline(report: FreeReport, canvas: Canvas, nowMs: number): string[] {
  const subject = endpointSubject(report.endpoint);
  const said = report.verdict === null ? '' : escapeText(report.verdict.sentence);
  if (report.bindable === true) {
    if (report.steps.length === 0)
      return marked('good', `${subject} is available`, `; nothing was done${said === '' ? '' : `. ${said}`}`, canvas);
    return marked('good', `${subject} is available`, ` (${(report.elapsedMs / 1000).toFixed(2)} s)`, canvas);
  }
  return whyHeadline(report, canvas, nowMs);
}

function stepLines(steps: readonly FreeStep[], canvas: Canvas, needsYes: boolean): string[] {
  return folded(steps).flatMap((step) => {
    const word = wordOf(step);
    const [first = '', ...more] = wrap(escapeText(step.sentence), canvas.width - 11);
    const lines = [
      `  ${canvas.paint(styleOf(word), word.padEnd(8))} ${first}`,
      ...more.map((line) => `           ${line}`),
    ];
    const doubt = step.doubt !== null && needsYes ? `needs --yes: ${step.doubt}` : step.doubt;
    const notes = word === 'would' ? [step.onlyIfNeeded ? 'only if still needed' : null, doubt] : [step.why];
    for (const note of notes)
      if (note !== null)
        for (const line of wrap(escapeText(note), canvas.width - 11))
          lines.push(`           ${canvas.paint('faint', line)}`);
    return lines;
  });
}

/** Of the workers of a server so many are named. */
const namedWorkers = 5;

/** Steps that differ only in the process are one: a server may have dozens of workers. */
function folded(steps: readonly FreeStep[]): FreeStep[] {
  const byWords = new Map<string, { step: FreeStep; pids: number[] }>();
  for (const [index, step] of steps.entries()) {
    const { target, sentence, outcome, why, doubt, onlyIfNeeded } = step;
    const pid = target.kind === 'process' ? target.pid : null;
    const words = pid === null ? index : sentence.replace(`(pid ${pid})`, '(pid)');
    const key = JSON.stringify([words, outcome, why, doubt, onlyIfNeeded]);
    const known = byWords.get(key);
    if (known === undefined) byWords.set(key, { step, pids: pid === null ? [] : [pid] });
    else if (pid !== null) known.pids.push(pid);
  }
  return [...byWords.values()].map(({ step, pids }) => {
    if (pids.length < 2) return step;
    const more = pids.length - namedWorkers;
    const named = pids.slice(0, namedWorkers).join(', ') + (more > 0 ? ` and ${more} more` : '');
    return { ...step, sentence: step.sentence.replace(/\(pid \d+\)/, `(pid ${named})`) };
  });
}

/** `refused` would read as if the process had refused. */
function wordOf({ outcome, why }: FreeStep): 'would' | 'not done' | FreeStep['outcome'] {
  if (outcome === 'skipped' && (why === null || why === onlyPlanned)) return 'would';
  return outcome === 'refused' ? 'not done' : outcome;
}

function styleOf(word: string): Style {
  if (word === 'done') return 'good';
  if (word === 'failed') return 'bad';
  return word === 'not done' ? 'unsure' : 'strong';
}

function respawnLines({ endpoint, respawn }: FreeReport, canvas: Canvas): string[] {
  if (respawn === null) return [];
  const { pid, command, supervisor } = respawn;
  const by =
    supervisor === null
      ? ''
      : `: ${programName(supervisor)} (pid ${supervisor.pid}) restarts it. Stop that process instead: kill ${supervisor.pid}`;
  return marked(
    'bad',
    'Restarted:',
    escapeText(` ${command} (pid ${pid}) uses ${endpointObject(endpoint)} again${by}`),
    canvas,
  );
}

/** What a step tried is no advice any more, unless it was refused and root or more time can do it. */
function isCovered({ steps }: FreeReport, { remedy, command }: Remedy): boolean {
  const same = steps.filter((step) => step.remedy === remedy);
  const helps = remedy === 'wait' || command?.startsWith('sudo ') === true;
  return same.length > 0 && !(helps && same.every(({ outcome }) => outcome === 'refused'));
}
