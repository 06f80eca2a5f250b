/**
 * The name of a program as its user knows it: `vite` and not `node`, `nginx: master process` and not `nginx.conf`. All of it is text that
 * the process chose: escape it before it is printed, and believe nothing of it.
 */

/** What is known of a process that has a name. */
export interface Named {
  /** The kernel's name, at most 15 bytes. */
  readonly command: string;
  /** Empty when it was not readable. */
  readonly argv: readonly string[];
}

/** Programs whose first argument without a dash is the program that runs. */
const interpreters =
  /^(node|nodejs|bun|deno|tsx|python[\d.]*|pypy[\d.]*|ruby[\d.]*|perl[\d.]*|php[\d.]*|bash|dash|sh|zsh)$/;

/** Options of interpreters that take the next word as their value. */
const withValue = new Set([
  '-r',
  '--require',
  '--import',
  '--loader',
  '--experimental-loader',
  '-C',
  '--conditions',
  '-W',
  '-X',
  '-I',
]);

/** Options after which comes a program as text, or the name of a module. */
const inline = new Set(['-e', '--eval', '-p', '--print', '-c']);

/** A name is part of a sentence. */
const longest = 60;

/**
 * The name of a program: its script where an interpreter runs it, its title where it set one.
 *
 * @example
 * ```ts
 * programName({ command: 'node', argv: ['node', '/home/ann/shop/node_modules/.bin/vite', '--host'] }); // 'vite'
 * programName({ command: 'nginx', argv: ['nginx: master process nginx -c /etc/nginx/nginx.conf'] }); // 'nginx: master process'
 * ```
 */
export function programName({ command, argv }: Named): string {
  const [first = '', ...words] = argv;
  if (first === '') return command;
  if (words.every((word) => word === '') && first.includes(' ') && !first.startsWith('/')) return short(title(first));
  const program = base(first).replace(/^-/, '');
  if (program === '') return command;
  return short(interpreters.test(program) ? scriptName(program, words) : program);
}

/** A title that the program set (setproctitle(3)): up to the first path, address or bracket, without its own command line. */
function title(text: string): string {
  const known = /^(\S+: (?:master|worker|cache manager|cache loader)(?: process)?)\b/.exec(text);
  if (known?.[1] !== undefined) return known[1];
  return text.replace(/ +[/([*].*$/, '').trim();
}

function scriptName(program: string, words: readonly string[]): string {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '-m' && program.startsWith('py')) return `${program} -m ${words[at + 1] ?? ''}`.trim();
    if (inline.has(word)) return `${program} ${word}`;
    if (withValue.has(word)) at++;
    else if (word === 'run' && (program === 'deno' || program === 'bun')) continue;
    else if (!word.startsWith('-') && word !== '') return fileName(program, word);
  }
  return program;
}

/** Commands of a package and programs of the system are known by their own name; others by how they are started. */
function fileName(program: string, path: string): string {
  const inPackage = /(?:^|\/)node_modules\/(?:\.bin\/([^/]+)$|(?:.*\/node_modules\/)?((?:@[^/]+\/)?[^/]+)\/)/.exec(
    path,
  );
  const name = inPackage?.[1] ?? inPackage?.[2];
  if (name !== undefined) return name;
  if (/(^|\/)s?bin\/[^/.]+$/.test(path)) return base(path);
  return `${program} ${base(path)}`;
}

function base(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function short(name: string): string {
  return name.length > longest ? `${name.slice(0, longest - 3)}...` : name;
}
