/**
 * What the command lines of managers look like, where a name alone does not tell. Text that a process chose: it only raises a question.
 */
/** What can be known of a process without asking it. */
export interface Words {
  readonly command: string;
  readonly argv: readonly string[];
}

export const editors = new Set([
  'code',
  'code-server',
  'codium',
  'cursor',
  'windsurf',
  'zed',
  'zed-editor',
  'idea',
  'webstorm',
  'pycharm',
  'nvim',
  'vim',
  'emacs',
  'subl',
  'fleet',
]);
export const agents = new Set(['claude', 'codex', 'aider', 'gemini', 'opencode', 'copilot', 'goose', 'amp']);
export const shells = /^-?(sh|bash|dash|zsh|fish|ksh|ash|busybox)$/;

export function reloaderOf(argv: readonly string[], programs: readonly string[]): string | null {
  const name = programs.find((program) => reloaders.has(program));
  if (name !== undefined) return name;
  if (programs.includes('flask') && argv.includes('run')) return 'flask';
  if (programs.includes('manage') && argv.includes('runserver')) return 'django';
  if (programs.includes('cargo-watch') || (programs.includes('cargo') && argv[1] === 'watch')) return 'cargo watch';
  return programs.includes('bun') && argv.includes('--watch') ? 'bun --watch' : null;
}

const reloaders = new Set([
  'watchexec',
  'entr',
  'air',
  'reflex',
  'ts-node-dev',
  'tsnd',
  'node-dev',
  'supervisor',
  'forever',
  'chokidar',
  'hypercorn',
  'watchfiles',
  'watchmedo',
  'rerun',
]);

export const runners = new Set([
  'concurrently',
  'npm-run-all',
  'run-p',
  'run-s',
  'turbo',
  'nx',
  'lerna',
  'wireit',
  'foreman',
  'honcho',
  'overmind',
  'hivemind',
  'mprocs',
]);

/** `npm run dev`, which npm also writes over its command line. */
export function scriptOf(...names: readonly string[]) {
  return ({ argv }: Words, programs: readonly string[]): string | null => {
    if (!programs.some((program) => names.includes(program.replace(/-\d[\d.]*$/, '')))) return null;
    const words = argv.flatMap((word) => word.split(' ')).slice(1);
    const at = words.findIndex((word) => /^(run|run-script|exec|x|start|test|dlx)$/.test(word));
    if (at < 0) return words.find((word) => !word.startsWith('-') && !word.includes('/')) ?? '';
    return /^(start|test)$/.test(words[at] ?? '')
      ? (words[at] ?? '')
      : (words.slice(at + 1).find((word) => !word.startsWith('-')) ?? '');
  };
}

/** The command after `rebind hold … --`; null when it is another command of rebind. */
export function heldCommand(argv: readonly string[]): string | null {
  const at = argv.findIndex(
    (word, index) => index > 0 && /^(hold|lease)$/.test(word) && /rebind/.test(argv[index - 1] ?? ''),
  );
  if (at < 0) return null;
  const end = argv.indexOf('--', at);
  return end < 0 ? '' : argv.slice(end + 1).join(' ');
}
