/**
 * What becomes of SIGTERM when a command line is process 1 of a container: which wrapper passes it on, and which server never hears of it.
 * Every case was run (Debian's dash 0.5.12, busybox, npm 8 to 11, pnpm 9, yarn 1, tini 0.19, dumb-init 1.2.5).
 */
import type { Finding } from './finding.ts';

/** A command line as a container runs it. */
export interface StartCommand {
  readonly words: readonly string[];
  /** The image's shell is busybox, which replaces itself by the last command; Debian's dash does not. */
  readonly isBusybox: boolean;
}

/** What is wrong with a command as process 1, without the place. */
export type StartFault = Pick<Finding, 'rule' | 'sentence' | 'reason'>;

const inits = /^(tini|tini-static|dumb-init|docker-init|catatonit)$/;
const runners = /^(npm|npx|pnpm|yarn|bun)$/;
const shells = /^(sh|dash|bash|ash|zsh|ksh)$/;

/** What a runner of scripts does at SIGTERM as process 1. */
const runnerEnds: Readonly<Record<string, string>> = {
  npm: 'npm passes SIGTERM to sh, sh ends, and npm exits with status 1 after 0.5 s: the server is killed without having seen a signal (npm 9 never ends, and everything is killed after the grace period)',
  npx: 'npx passes SIGTERM to sh, sh ends, and npx exits with status 1 after 0.7 s: the server is killed without having seen a signal',
  pnpm: 'pnpm exits 60 ms after SIGTERM with status 1, and the server is killed before it has finished a request',
  yarn: 'yarn exits 20 ms after SIGTERM with status 1, and the server is killed without having seen a signal',
  'node --run':
    'node --run does not pass SIGTERM on: nothing ends until everything is killed at the end of the grace period',
};

/** Null when a signal reaches the server, as far as the command line shows. */
export function startFault({ words, isBusybox }: StartCommand): StartFault | null {
  const { inner, init } = withoutInit(words);
  const [first = ''] = inner;
  const program = baseOf(first);
  const watcher = watcherIn(inner);
  if (watcher !== null)
    return {
      rule: 'watcher-in-production',
      sentence: `${watcher} starts the server, and it is made for development.`,
      reason: `A file that changes restarts the server, and a server that crashes stays down until a file changes.`,
    };
  const runner = runnerIn(inner);
  if (runner !== null) {
    // busybox's shell is replaced by the server, so the signal arrives.
    if (isBusybox && runner === 'npm') return null;
    const written = inner.slice(0, 3).join(' ');
    if (init !== null)
      return {
        rule: 'init-before-script',
        sentence: `${init} runs "${written}" and ends as soon as that does.`,
        reason: `The server is killed 10 to 20 ms after SIGTERM, in the middle of what it answers: ${init} waits for ${runner}, not for the server below it.`,
      };
    return {
      rule: 'script-as-pid-1',
      sentence: `"${written}" is the first process of the container, and it does not stop the server.`,
      reason: `What happens: ${runnerEnds[runner]}.`,
    };
  }
  if (shells.test(program) && inner.some((word) => /^-[a-z]*c$/.test(word))) {
    const script = inner[inner.findIndex((word) => /^-[a-z]*c$/.test(word)) + 1] ?? '';
    return shellFault(script, program !== 'sh' && program !== 'dash' ? true : isBusybox, init);
  }
  return null;
}

/** A text that /bin/sh runs, as in the shell form of CMD. */
export function shellFault(script: string, replacesItself: boolean, init: string | null = null): StartFault | null {
  const commands = script.split(/&&|\|\||;|\n/).map((part) => part.trim());
  const last = commands.filter(Boolean).at(-1) ?? '';
  const isExec = /^exec\s/.test(last);
  const isSimple = commands.filter(Boolean).length === 1 && !/[|&`]|\$\(/.test(script);
  if (isExec || (replacesItself && isSimple)) return startFaultOfScript(last, replacesItself, init);
  return {
    rule: 'shell-as-pid-1',
    sentence: `A shell is the first process of the container, and it keeps SIGTERM from "${short(last)}".`,
    reason:
      'The shell waits for the command and does not pass signals on: the server never sees SIGTERM and is killed at the end of the grace period (10.2 s with the default of 10), with every answer that is under way.',
  };
}

/**
 * The command as it should be: the server itself where a shell stood before it, else below hold, which passes signals on and waits for the whole
 * group. Null where neither is known to be right.
 */
export function corrected(words: readonly string[], rule: string): readonly string[] | null {
  if (rule === 'watcher-in-production') return null;
  const { inner } = withoutInit(words);
  const at = inner.findIndex((word) => /^-[a-z]*c$/.test(word));
  if (rule === 'shell-as-pid-1' && at > 0) {
    const script = inner[at + 1] ?? '';
    return isPlain(script) ? correctedWords(script.split(/\s+/)) : withExec(inner, at + 1);
  }
  return ['node_modules/.bin/rebind', 'hold', '--', ...inner];
}

/** The words of a script that needs no shell, or the shell with `exec` before its last command. Null where the last command is not plain to see. */
export function correctedScript(script: string): readonly string[] | null {
  return isPlain(script) ? correctedWords(script.split(/\s+/)) : withExec(['/bin/sh', '-c', script], 2);
}

/** The words themselves where they are right as process 1, else below hold. */
export function correctedWords(words: readonly string[]): readonly string[] {
  return startFault({ words, isBusybox: false }) === null ? words : (corrected(words, '') ?? words);
}

function withExec(words: readonly string[], at: number): readonly string[] | null {
  const script = (words[at] ?? '').trimEnd();
  const last = /[^;&|\n]*$/.exec(script)?.[0] ?? '';
  const start = script.length - last.length;
  // A pipe has two last commands, fi and done close one that began earlier, and a separator may stand between quotes.
  const isPipe = script[start - 1] === '|' && script[start - 2] !== '|';
  const isQuoted = /"[^"]*[;&|\n][^"]*"|'[^']*[;&|\n][^']*'|\\\n/.test(script);
  if (isPipe || isQuoted || last.trim() === '' || /^\s*(fi|done|esac|[)}])/.test(last)) return null;
  return [...words.slice(0, at), script.slice(0, start) + last.replace(/\S/, 'exec $&'), ...words.slice(at + 1)];
}

/** The words of a text as Compose splits it: at blanks outside of quotes, without a shell. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (quote === '' && /\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (quote === '' && /["']/.test(char)) {
      quote = char;
      word ??= '';
    } else if (char === quote) quote = '';
    else word = (word ?? '') + (char === '\\' && quote !== "'" ? (text[++at] ?? '') : char);
  }
  return word === null ? words : [...words, word];
}

function isPlain(script: string): boolean {
  return /^[\w./@=:,+-]+(\s+[\w./@=:,+-]+)*$/.test(script) && !/^\w+=/.test(script);
}

function startFaultOfScript(command: string, isBusybox: boolean, init: string | null): StartFault | null {
  const words = command.replace(/^exec\s+/, '').split(/\s+/);
  return startFault({ words: init === null ? words : [init, ...words], isBusybox });
}

/** How long `rebind hold` in this command goes on accepting after SIGTERM, in ms, or null. */
export function lameDuckIn(words: readonly string[]): number | null {
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  if (!own.some((word) => baseOf(word) === 'rebind') || !own.includes('hold')) return null;
  const at = own.findIndex((word) => word === '--lame-duck' || word.startsWith('--lame-duck='));
  if (at < 0) return null;
  const word = own[at] ?? '';
  return durationMs(word.includes('=') ? word.slice(word.indexOf('=') + 1) : (own[at + 1] ?? ''));
}

/** `5s`, `500ms`, `1m30s`, `5`: seconds without a unit. Null when it is none. */
export function durationMs(text: string): number | null {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return null;
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (units[unit] ?? 0), 0);
}

/** The address of this machine alone that a command or a variable names, or null. */
export function loopbackIn(words: readonly string[]): string | null {
  for (const [index, word] of words.entries()) {
    const joined = /^(--?(?:host|hostname|bind|address|listen|H))=(.+)$/.exec(word);
    const value =
      joined?.[2] ?? (/^(--(?:host|hostname|bind|address|listen)|-H|-b)$/.test(word) ? words[index + 1] : undefined);
    if (value !== undefined && isLoopback(value)) return joined === null ? `${word} ${value}` : word;
  }
  return null;
}

/** True for `HOST=127.0.0.1` and its like. */
export function isLoopbackVariable(name: string, value: string): boolean {
  return (
    /^(HOST|HOSTNAME|BIND|BIND_ADDRESS|BIND_HOST|LISTEN|LISTEN_HOST|LISTEN_ADDRESS|SERVER_HOST|NITRO_HOST|NUXT_HOST)$/.test(
      name,
    ) && isLoopback(value)
  );
}

/** A server that listens on loopback inside of a container, whose clients are outside. */
export function loopbackFinding(
  line: number,
  sentence: string,
  fix: string | null,
  level: Finding['level'] = 'fault',
): Finding {
  const reason =
    'A published port arrives at the address of the container, where no program listens: clients are refused, or connected and cut off at once.';
  return { rule: 'loopback-in-container', line, level, sentence, reason, fix };
}

/** True for the name or the number of SIGKILL. */
export function isKill(signal: string): boolean {
  return /^(SIG)?KILL$|^9$/.test(signal.trim());
}

/** A container that is stopped by SIGKILL. */
export function killFinding(line: number, fix: string): Finding {
  return {
    rule: 'stopped-by-kill',
    line,
    level: 'fault',
    sentence: 'The container is stopped by SIGKILL, which no program can handle.',
    reason: 'Every answer that is under way is lost, and nothing is closed.',
    fix,
  };
}

function isLoopback(value: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|::1|\[::1\])(:\d+)?$/.test(value);
}

function withoutInit(words: readonly string[]): { readonly inner: readonly string[]; readonly init: string | null } {
  let inner = words;
  let init: string | null = null;
  for (let round = 0; round < 4; round++) {
    const name = baseOf(inner[0] ?? '');
    if (inits.test(name)) {
      init = name;
      // Every flag of these takes no value, but tini's -p and -e.
      let at = 1;
      while (at < inner.length && inner[at]?.startsWith('-') && inner[at] !== '--')
        at += /^-[pe]$/.test(inner[at] ?? '') ? 2 : 1;
      inner = inner.slice(inner[at] === '--' ? at + 1 : at);
    } else if (/^(gosu|su-exec)$/.test(name)) inner = inner.slice(2);
    else if (/^(exec|env|docker-entrypoint\.sh)$/.test(name)) {
      inner = inner.slice(1);
      while (/^\w+=/.test(inner[0] ?? '')) inner = inner.slice(1);
    } else break;
  }
  return { inner, init };
}

function runnerIn(words: readonly string[]): string | null {
  const [first = '', second = ''] = words;
  const name = baseOf(first);
  if (name === 'node' && words.some((word) => word === '--run' || word.startsWith('--run='))) return 'node --run';
  if (!runners.test(name)) return null;
  // What became of bun was not run.
  if (name === 'bun') return null;
  if (name === 'npm' && (second === 'exec' || second === 'x')) return 'npx';
  return name;
}

function watcherIn(words: readonly string[]): string | null {
  const names = words.slice(0, 3).map(baseOf);
  for (const name of ['nodemon', 'ts-node-dev', 'tsnd']) if (names.includes(name)) return name;
  if (names[0] === 'node' && words.some((word) => /^--watch(-path=.*)?$/.test(word))) return 'node --watch';
  if (names.includes('tsx') && words.includes('watch')) return 'tsx watch';
  return null;
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
