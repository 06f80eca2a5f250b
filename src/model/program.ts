/**
 * The name of a program as its user knows it: `vite` and not `node`, `nginx: master process` and not `nginx.conf`. All of it is text that
 * the process chose: escape it before it is printed, and believe nothing of it.
 */

import { baseOf, isInterpreter, scriptOf } from './command-words.ts';

/** What is known of a process that has a name. */
export interface Named {
  /** The kernel's name, at most 15 bytes. */
  readonly command: string;
  /** Empty when it was not readable. */
  readonly argv: readonly string[];
}

/** A name is part of a sentence. */
const longest = 60;
/** PATH_MAX: of a longer word no more is looked at, because the process chose its length. */
const mostRead = 4_096;

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
  const [first = '', ...words] = argv.map((word) => word.slice(0, mostRead));
  if (first === '') return command;
  if (words.every((word) => word === '') && first.includes(' ') && !first.startsWith('/')) {
    // pm2 gives its programs the title `node /srv/app.js`.
    const [interpreter = '', ...rest] = first.split(' ');
    return short(isInterpreter(interpreter) ? scriptName(interpreter, [interpreter, ...rest]) : title(first));
  }
  const program = baseOf(first).replace(/^-/, '');
  if (program === '') return command;
  return short(isInterpreter(program) ? scriptName(program, argv) : program);
}

/** A title that the program set (setproctitle(3)): up to the first path, address or bracket, without its own command line. */
function title(text: string): string {
  const known = /^(\S+: (?:master|worker|cache manager|cache loader)(?: process)?)\b/.exec(text);
  if (known?.[1] !== undefined) return known[1];
  return text
    .replace(/ [/([*].*$/, '')
    .trim()
    .replace(/(?<=.):$/, '');
}

function scriptName(program: string, argv: readonly string[]): string {
  const script = scriptOf(argv);
  if (script === null) return program;
  if (script.kind === 'file') return fileName(program, script.word);
  return `${program} ${script.kind === 'module' ? `-m ${script.word}` : script.word}`.trim();
}

/** Commands of a package and programs of the system are known by their own name; others by how they are started. */
function fileName(program: string, path: string): string {
  const inPackage = /(?:^|\/)node_modules\/(?:\.bin\/([^/]+)$|(?:.*\/node_modules\/)?((?:@[^/]+\/)?[^/]+)\/)/.exec(
    path,
  );
  const name = inPackage?.[1] ?? inPackage?.[2];
  if (name !== undefined) return name;
  if (/(^|\/)s?bin\/[^/.]+$/.test(path)) return baseOf(path);
  return `${program} ${baseOf(path)}`;
}

function short(name: string): string {
  return name.length > longest ? `${name.slice(0, longest - 3)}...` : name;
}
