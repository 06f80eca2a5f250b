/**
 * What a command line says about the program that it runs. Text of another process: evidence for a sentence, never an instruction.
 */

/** The names that a command line may be known by: its program, and the script or module that an interpreter runs. */
export function programsOf(argv: readonly string[]): string[] {
  const program = baseOf((argv[0] ?? '').split(' ')[0] ?? '');
  const script = isInterpreter(program) ? scriptOf(argv) : null;
  if (script === null || script.kind === 'text') return [program];
  return [
    program,
    script.kind === 'module' ? script.word : baseOf(script.word).replace(/\.(?:[cm]?js|py|rb|pl|sh)$/, ''),
  ];
}

/** True for a program whose first argument without a dash is the program that runs. */
export function isInterpreter(program: string): boolean {
  return /^(node|nodejs|bun|deno|tsx|python[\d.]*|pypy[\d.]*|ruby[\d.]*|perl[\d.]*|php[\d.]*|bash|dash|sh|zsh)$/.test(
    program,
  );
}

/** What an interpreter runs: a file, a module by its name, or a text that was given by an option. */
export interface Script {
  readonly kind: 'file' | 'module' | 'text';
  /** The file or the module as it was typed; of a text the option. */
  readonly word: string;
}

/** Options that take the next word as their value, by the beginning of the interpreter's name. */
const ofOthers: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^py/, ['-W', '-X']],
  [/^ruby/, ['-r', '-I', '-C']],
  [/^perl/, ['-I']],
  [/^(ba|da|z)?sh$/, ['-o', '-O', '--rcfile', '--init-file']],
];

/** `node --help`. */
const ofNode: ReadonlySet<string> = new Set([
  '-r',
  '--require',
  '--import',
  '--loader',
  '--experimental-loader',
  '-C',
  '--conditions',
  '--env-file',
  '--env-file-if-exists',
  '--title',
  '--icu-data-dir',
  '--openssl-config',
  '--diagnostic-dir',
  '--redirect-warnings',
  '--input-type',
  '--watch-path',
  '--inspect-port',
  '--stack-trace-limit',
  '--disable-warning',
]);

/** What a command line of an interpreter runs; null where it names nothing. */
export function scriptOf([first = '', ...words]: readonly string[]): Script | null {
  const program = baseOf(first).replace(/^-/, '');
  const others = ofOthers.find(([name]) => name.test(program))?.[1];
  const isShell = /^(ba|da|z)?sh$/.test(program);
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '-m' && program.startsWith('py')) return { kind: 'module', word: words[at + 1] ?? '' };
    if (isShell ? /^-[a-z]*c$/.test(word) : /^(-[epc]|--eval|--print)$/.test(word)) return { kind: 'text', word };
    if (word === '-') return { kind: 'text', word: '' };
    if (others?.includes(word) ?? ofNode.has(word)) at++;
    else if (word === 'run' && (program === 'deno' || program === 'bun')) continue;
    else if (!word.startsWith('-') && word !== '') return { kind: 'file', word };
  }
  return null;
}

/** The last part of a path. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** True for `node …`. */
export function isNode(argv: readonly string[]): boolean {
  return /^(node|nodejs)$/.test(baseOf(argv[0] ?? ''));
}

/** Options before the script: those after it are the program's own. */
export function ownFlags(argv: readonly string[]): readonly string[] {
  const words = argv.slice(1);
  const script = words.findIndex((word, index) => !word.startsWith('-') && !ofNode.has(words[index - 1] ?? ''));
  return script < 0 ? words : words.slice(0, script);
}
