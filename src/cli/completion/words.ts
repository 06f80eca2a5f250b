/**
 * What the three completion scripts have in common.
 */
import type { Command, Flag, Values } from '../command.ts';

/** The commands that a person may know of. */
export function visible(commands: readonly Command[]): Command[] {
  return commands.filter(({ hidden }) => !hidden);
}

/** `--json`, `--reuse-address`, `--no-reuse-address`, `-h`. */
export function flagWords(flags: readonly Flag[]): string[] {
  return flags.flatMap(({ name, short, negatable }) => [
    `--${name}`,
    ...(negatable ? [`--no-${name}`] : []),
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
}

export function valueFlags(flags: readonly Flag[]): Flag[] {
  return flags.filter(({ value }) => value !== undefined);
}

/** True for values that `rebind __values` prints, false for a fixed list. */
export function isMachineValue(values: Values): values is Exclude<Values, readonly string[]> {
  return typeof values === 'string';
}
