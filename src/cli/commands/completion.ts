/** `rebind completion bash|zsh|fish`. */
import type { Invocation } from '../command.ts';
import { bashCompletion } from '../completion/bash.ts';
import { fishCompletion } from '../completion/fish.ts';
import { zshCompletion } from '../completion/zsh.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';

const scripts: Readonly<Record<string, typeof bashCompletion>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

export function run(invocation: Invocation, io: Io): number {
  const script = scripts[invocation.operands[0] ?? ''];
  // The table lists the same three names, so the parser has refused any other.
  if (script === undefined) throw new TypeError(`No completion script for ${invocation.operands[0]}`);
  io.stdout.write(script(invocation.commands));
  return exit.ok;
}
