import type { Command } from '../command.ts';

export const completionEntry: Command = {
  name: 'completion',
  summary: 'Print the completion script of a shell',
  page: [
    "For bash: echo 'source <(rebind completion bash)' >> ~/.bashrc. For zsh: rebind completion zsh > a file named _rebind in a directory of $fpath. For fish: rebind completion fish > ~/.config/fish/completions/rebind.fish.",
  ],
  operands: [{ name: 'shell', summary: 'the name of a shell: bash, zsh or fish', values: ['bash', 'zsh', 'fish'] }],
  flags: [],
  examples: [{ command: 'source <(rebind completion bash)', summary: 'Try it in this bash' }],
  effect: 'read',
  fast: false,
  load: () => import('../commands/completion.ts'),
};
