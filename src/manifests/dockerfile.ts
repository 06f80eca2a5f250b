/** Reads a Dockerfile (docs.docker.com/reference/dockerfile) as far as it says what process 1 is. */
import { type Checked, type Finding, ManifestError, noClaims } from './finding.ts';
import {
  corrected,
  correctedScript,
  correctedWords,
  isKill,
  isLoopbackVariable,
  killFinding,
  lameDuckIn,
  loopbackFinding,
  loopbackIn,
  shellFault,
  startFault,
} from './start-command.ts';

interface Instruction {
  readonly name: string;
  readonly text: string;
  readonly line: number;
}

/** How CMD or ENTRYPOINT was written. */
interface Form {
  readonly words: readonly string[] | null;
  readonly script: string | null;
  readonly line: number;
}

interface Stage {
  readonly image: string;
  readonly alias: string | null;
  entrypoint: Form | null;
  cmd: Form | null;
  exposes: boolean;
  readonly loopback: { readonly name: string; readonly line: number }[];
}

/** @throws {ManifestError} when it has no FROM. */
export function checkDockerfile(text: string): Checked {
  const findings: Finding[] = [];
  const stages: Stage[] = [];
  for (const { name, text: rest, line } of instructionsOf(text)) {
    const stage = stages.at(-1);
    if (name === 'FROM') stages.push(stageOf(rest, stages));
    else if (stage === undefined) continue;
    else if (name === 'CMD' || name === 'ENTRYPOINT') {
      const form = formOf(rest, line);
      if (isBrokenList(form))
        findings.push({
          rule: 'exec-form-is-no-json',
          line,
          level: 'fault',
          sentence: `${name} looks like a list and is no JSON, so a shell runs it as a text.`,
          reason: 'Docker takes the list only with double quotes; the shell looks for a command that begins with "[".',
          fix: fixOfList(name, rest),
        });
      if (name === 'CMD') stage.cmd = form;
      else {
        stage.entrypoint = form;
        // As Docker: a new ENTRYPOINT takes the CMD of the image away; one written here stays.
        if (stage.cmd?.line === 0) stage.cmd = null;
      }
    } else if (name === 'EXPOSE') stage.exposes = true;
    else if (name === 'STOPSIGNAL' && isKill(rest)) findings.push(killFinding(line, 'STOPSIGNAL SIGTERM'));
    else if (name === 'ENV')
      for (const [variable, value] of variablesIn(rest))
        if (isLoopbackVariable(variable, value)) stage.loopback.push({ name: `${variable}=${value}`, line });
  }
  const last = stages.at(-1);
  if (last === undefined) throw new ManifestError('It has no FROM, so it is no Dockerfile');
  findings.push(...findingsOf(last));
  const words = last.entrypoint?.words ?? last.cmd?.words ?? [];
  const gaps =
    last.entrypoint === null && last.cmd === null
      ? ['what the container starts stands in the image that it is made from']
      : [];
  return { kind: 'Dockerfile', findings, gaps, claims: { ...noClaims, lameDuckMs: lameDuckIn(words) } };
}

function findingsOf(stage: Stage): Finding[] {
  const found: Finding[] = [];
  const { entrypoint, cmd } = stage;
  const isBusybox = /alpine|busybox/.test(stage.image);
  // The shell form of ENTRYPOINT ignores CMD.
  const main = entrypoint ?? cmd;
  if (main !== null) {
    const script = main.script;
    const more =
      entrypoint?.words != null ? (cmd?.words ?? (cmd?.script == null ? [] : ['/bin/sh', '-c', cmd.script])) : [];
    const words = [...(main.words ?? []), ...more];
    const fault = script === null ? startFault({ words, isBusybox }) : shellFault(script, isBusybox);
    const at = more.length > 0 && cmd !== null && fault?.rule !== 'init-before-script' ? cmd : main;
    if (fault !== null && at.line > 0)
      found.push({ ...fault, line: at.line, level: 'fault', fix: fixOf(fault.rule, main, words) });
    const loopback = loopbackIn(script === null ? words : script.split(/\s+/));
    if (loopback !== null && stage.exposes)
      found.push(
        loopbackFinding(
          at.line,
          `The server listens on this container's own loopback (${loopback}), and the port is meant for others.`,
          null,
        ),
      );
  }
  for (const { name, line } of stage.loopback)
    found.push(
      loopbackFinding(
        line,
        `${name} makes the server listen on this container's own loopback.`,
        `ENV ${name.slice(0, name.indexOf('='))}=0.0.0.0`,
        stage.exposes ? 'fault' : 'note',
      ),
    );
  return found;
}

/** The lines that stop the server as they should. */
function fixOf(rule: string, main: Form, words: readonly string[]): string | null {
  if (main.script !== null && rule !== 'watcher-in-production') {
    // The finding about the list has its correction.
    const script = isBrokenList(main) ? null : correctedScript(main.script);
    return script === null ? null : `CMD ${JSON.stringify(script)}`;
  }
  const right = corrected(words, rule);
  if (right === null) return null;
  const end = right.indexOf('--');
  if (end < 0) return `CMD ${JSON.stringify(right)}`;
  return `ENTRYPOINT ${JSON.stringify(right.slice(0, end + 1))}\nCMD ${JSON.stringify(right.slice(end + 1))}`;
}

function stageOf(rest: string, earlier: readonly Stage[]): Stage {
  const words = rest
    .replace(/--\S+\s+/g, '')
    .trim()
    .split(/\s+/);
  const [image = ''] = words;
  const alias = /^as$/i.test(words[1] ?? '') ? (words[2] ?? null) : null;
  const parent = earlier.find((stage) => stage.alias !== null && stage.alias.toLowerCase() === image.toLowerCase());
  if (parent === undefined) return { image, alias, entrypoint: null, cmd: null, exposes: false, loopback: [] };
  return { ...parent, alias, loopback: [...parent.loopback] };
}

function formOf(rest: string, line: number): Form {
  const text = rest.trim();
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return { words, script: null, line };
  } catch {
    // Not a list: the shell form, as Docker reads it.
  }
  return { words: null, script: text, line };
}

/** `['npm', 'start']` or `["npm", "start"`: meant as a list. `[ -f a ] && b` is a script. */
function isBrokenList({ script }: Form): boolean {
  return script !== null && /^\[(["']|.*\]$)/s.test(script);
}

/** The list with double quotes, as it should be; null where that is not what is missing. */
function fixOfList(name: string, rest: string): string | null {
  const { words } = formOf(rest.replaceAll("'", '"'), 0);
  return words === null ? null : `${name} ${JSON.stringify(correctedWords(words))}`;
}

function variablesIn(rest: string): [string, string][] {
  const joined = [...rest.matchAll(/(\w+)=("[^"]*"|'[^']*'|\S*)/g)].map(
    ([, name = '', value = '']): [string, string] => [name, value.replace(/^["']|["']$/g, '')],
  );
  if (joined.length > 0) return joined;
  const old = /^(\w+)\s+(.+)$/.exec(rest.trim());
  return old === null ? [] : [[old[1] ?? '', (old[2] ?? '').trim()]];
}

/** Instructions with their continuation lines joined; comments, empty lines and the texts of here-documents left out. */
function* instructionsOf(text: string): Iterable<Instruction> {
  const lines = text.split(/\r?\n/);
  /** Where each text stands last, so that the end of a here-document which has none is not looked for in every line. */
  const last = new Map(lines.map((line, at) => [line.trim(), at]));
  const continues = /^#\s*escape\s*=\s*`/im.test(lines.slice(0, 3).join('\n')) ? '`' : '\\';
  for (let index = 0; index < lines.length; index++) {
    const first = index;
    let whole = lines[index] ?? '';
    if (/^\s*(#|$)/.test(whole)) continue;
    while (whole.trimEnd().endsWith(continues) && index + 1 < lines.length) {
      whole = whole.trimEnd().slice(0, -1);
      do index++;
      while (index < lines.length - 1 && /^\s*(#|$)/.test(lines[index] ?? ''));
      whole += lines[index] ?? '';
    }
    for (const [, , marker = ''] of whole.matchAll(/<<-?(["']?)(\w+)\1/g)) {
      if ((last.get(marker) ?? 0) <= index) continue;
      do index++;
      while (lines[index]?.trim() !== marker);
    }
    const read = /^\s*(?:ONBUILD\s+)?([A-Za-z]+)\s+(.*)$/s.exec(whole);
    if (read !== null && !/^\s*ONBUILD/i.test(whole))
      yield { name: (read[1] ?? '').toUpperCase(), text: read[2] ?? '', line: first + 1 };
  }
}
