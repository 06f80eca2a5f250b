/**
 * Where the word stands that may name the command: the first one that is no flag, or `--`; -1 without either.
 */
export function firstWordAt(argv: readonly string[]): number {
  return argv.findIndex((word) => !word.startsWith('-') || word === '--');
}
