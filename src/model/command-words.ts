/**
 * What a command line says about the program that it runs. Text of another process: evidence for a sentence, never an instruction.
 */

/** The names that a command line may be known by: its program, and the script or module that an interpreter runs. */
export function programsOf(argv: readonly string[]): string[] {
  const [first = '', ...rest] = argv;
  const program = baseOf(first.split(' ')[0] ?? '');
  if (!/^(node|nodejs|bun|deno|python[\d.]*|ruby[\d.]*|perl|sh|bash|dash|MainThread)$/.test(program)) return [program];
  const script = scriptAt(rest);
  return script === null ? [program] : [program, script];
}

/** Options of node, python and ruby whose value is the next word. */
const withValue = new Set([
  '-r',
  '--require',
  '--import',
  '--loader',
  '--experimental-loader',
  '-C',
  '--conditions',
  '--env-file',
  '-W',
  '-X',
  '-I',
]);

function scriptAt(words: readonly string[]): string | null {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (word === '-m') return words[index + 1] ?? null;
    if (word === '-e' || word === '-c' || word === '-p') return null;
    if (withValue.has(word)) index++;
    else if (!word.startsWith('-')) return baseOf(word).replace(/\.(?:[cm]?js|py|rb|pl|sh)$/, '');
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
  const script = words.findIndex((word, index) => !word.startsWith('-') && !withValue.has(words[index - 1] ?? ''));
  return script < 0 ? words : words.slice(0, script);
}
