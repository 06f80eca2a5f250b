/**
 * docs/api.md: every public declaration with its docstring, taken from the declaration files that the package ships.
 * It is also the snapshot of the public interface: a change of it shows in the diff.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const introduction = `# The library

Everything that \`import … from 'rebind'\` offers, as the package declares it. Every example runs: a test runs each of them, with the modules of Node
and everything of rebind imported, and with a server, a socket or an error where it speaks of one. Whole programs are in examples/.
`;

const partsIntroduction = `## What the types consist of

These have no name outside of the package. Reach them through the type that has them: \`Blocker['holders'][number]\`, \`FreeReport['respawn']\`.
`;

/** A declaration, and the file that it stands in, where the names that it uses are known. */
interface Declared {
  readonly text: string;
  readonly file: string;
}

/** @param root The folder of package.json. */
export function apiPage(root: string): string {
  const out = mkdtempSync(join(tmpdir(), 'rebind-declarations-'));
  try {
    const tsc = join(root, 'node_modules/typescript/lib/tsc.js');
    const words = [tsc, '-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', out];
    const { status, stdout } = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8' });
    if (status !== 0) throw new Error(`tsc failed:\n${stdout}`);
    const found = exportsOf(join(out, 'index.d.ts'));
    return page(found, partsOf(found));
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The declarations that a file exports, its own and those it passes on, in the order of the file. */
function exportsOf(file: string): Map<string, Declared> {
  const text = readFileSync(file, 'utf8');
  const found = new Map<string, Declared>();
  for (const [name, declaration] of declarationsIn(text)) {
    // A function that is loaded late is declared as "that of another file": its own declaration says more.
    const [, from = '', original = ''] = /typeof import\(["']([^"']+)["']\)\.(\w+)/.exec(declaration) ?? [];
    const there = from === '' ? undefined : exportsOf(declarationFile(file, from)).get(original);
    found.set(name, there ?? { text: spelledOut(declaration, file), file });
  }
  for (const [, names = '', from = ''] of text.matchAll(/export (?:type )?\{([^}]*)\} from ["']([^"']+)["']/g)) {
    const there = exportsOf(declarationFile(file, from));
    for (const [original, alias] of listed(names)) {
      const declaration = there.get(original);
      if (declaration === undefined) throw new Error(`${file} exports ${original}, which ${from} does not declare`);
      found.set(alias, declaration);
    }
  }
  return found;
}

function declarationFile(from: string, path: string): string {
  return join(dirname(from), path.replace(/\.ts$/, '.d.ts'));
}

/** `a, type b as c` as pairs of a name and what it is called here. */
function listed(names: string): [original: string, alias: string][] {
  return names
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''))
    .filter(Boolean)
    .map((name) => {
      const [original = name, alias = original] = name.split(' as ');
      return [original, alias];
    });
}

/** A type as its reader sees it, where the declaration only says how it is made from others. */
function spelledOut(declaration: string, file: string): string {
  // `interface Report extends ReportOf<Verdict> {}`: the fields, with the argument in the place of the parameter.
  const [line = '', name = '', generic = '', argument = ''] =
    /^export interface (\w+) extends (\w+)<(\w+)> \{\s*\}/m.exec(declaration) ?? [];
  const fields = line === '' ? null : lookUp(generic, file);
  const body = fields === null ? null : /<(\w+)[^{]*>\s(\{[\s\S]*\})/.exec(fields.text);
  if (body !== null)
    return declaration.replace(
      line,
      `export interface ${name} ${(body[2] ?? '').replaceAll(new RegExp(`\\b${body[1]}\\b`, 'g'), argument)}`,
    );
  // The union of all causes: a member each.
  if (!declaration.includes('FoundBy<(typeof causes)[number]>')) return declaration;
  const registry = declarationsIn(readFileSync(file, 'utf8')).get('causes') ?? '';
  const members = [...registry.matchAll(/Cause<("[\w-]+"), (\{[\s\S]*?\n\})>/g)].map(
    ([, id = '', args = '']) =>
      `{\n    readonly cause: ${id};\n    readonly sentence: string;\n    readonly args: ${args.replaceAll('\n', '\n    ')};\n}`,
  );
  return declaration.replace(/\b\w*FoundBy<\(typeof causes\)\[number\]>/, () => members.join(' | '));
}

/** Worked out from a table that is too long for a declaration: an editor shows the one value that is asked for. */
const workedOut = ['optionsTable', 'Table', 'ValueOf'];

/** The types that the public ones consist of, and that have no name outside. */
function partsOf(known: ReadonlyMap<string, Declared>): Map<string, string> {
  const parts = new Map<string, string>();
  const queue = [...known.values()];
  for (const { text, file } of queue) {
    for (const name of typesIn(text)) {
      if (known.has(name) || parts.has(name) || workedOut.includes(name)) continue;
      const part = lookUp(name, file);
      if (part === null) continue;
      parts.set(name, part.text);
      queue.push(part);
    }
  }
  return new Map([...parts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The names of types in a declaration, also of those that are named by their file. */
function typesIn(declaration: string): Set<string> {
  const code = declaration
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/import\(["']([^"']+)["']\)\.(\w+)/g, (_, _path, name) => name)
    .replaceAll(/"[^"]*"|'[^']*'/g, '');
  return new Set(code.match(/\b[A-Z]\w*\b/g));
}

/** The declaration of a name as a file knows it; null for one that is not ours. */
function lookUp(name: string, file: string): Declared | null {
  const text = readFileSync(file, 'utf8');
  const own = declarationsIn(text).get(name);
  if (own !== undefined) return { text: spelledOut(own, file), file };
  for (const [, names = '', from = ''] of text.matchAll(
    /^(?:import|export) (?:type )?\{([^}]*)\} from ["'](\.[^"']+)/gm,
  )) {
    const original = listed(names).find(([, alias]) => alias === name)?.[0];
    if (original !== undefined) return lookUp(original, declarationFile(file, from));
  }
  const from = new RegExp(`import\\(["'](\\.[^"']+)["']\\)\\.${name}\\b`).exec(text)?.[1];
  return from === undefined ? null : lookUp(name, declarationFile(file, from));
}

/** Top-level declarations with the comment above them. Overloads of one name stay together. */
function declarationsIn(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let comment: string[] = [];
  let lines: string[] = [];
  let inComment = false;
  const flush = () => {
    const declaration = lines.join('\n');
    const name =
      /^(?:export )?(?:declare )?(?:abstract )?(?:default )?(?:async )?(?:function|class|interface|type|const|let) (\w+)/m.exec(
        declaration,
      )?.[1];
    if (name !== undefined) {
      const before = found.get(name);
      const whole = [...comment, declaration].join('\n');
      found.set(name, before === undefined ? whole : `${before}\n${whole}`);
    }
    if (lines.length > 0) comment = [];
    lines = [];
  };
  for (const line of text.split('\n')) {
    if (lines.length === 0 && (inComment || line.startsWith('/**'))) {
      if (line.startsWith('/**')) comment = [];
      comment.push(line);
      inComment = !line.includes('*/');
    } else if (/^(export|declare|import|type|interface|const) /.test(line)) {
      flush();
      lines.push(line);
      if (isComplete(lines)) flush();
    } else if (lines.length > 0) {
      lines.push(line);
      if (isComplete(lines)) flush();
    }
  }
  flush();
  return found;
}

/** True when a declaration is at its end: every brace is closed again. */
function isComplete(lines: readonly string[]): boolean {
  const text = lines.join('\n').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
  return /[;}]\s*$/.test(text) && count(/[({[]/g) === count(/[)}\]]/g);
}

function page(found: ReadonlyMap<string, Declared>, parts: ReadonlyMap<string, string>): string {
  const all = [...found].map(([name, { text }]) => [name, text] as const);
  const section = ([name, text]: readonly [string, string]) =>
    `### ${name}\n\n\`\`\`ts\n${withoutPaths(text).trim()}\n\`\`\`\n`;
  return [
    introduction,
    '## Functions and classes\n',
    ...all.filter(([, text]) => !isType(text)).map(section),
    '## Types\n',
    ...all.filter(([, text]) => isType(text)).map(section),
    partsIntroduction,
    ...[...parts].map(section),
  ].join('\n');
}

function withoutPaths(text: string): string {
  return text.replaceAll(/import\("\.[^"]+"\)\./g, '');
}

function isType(text: string): boolean {
  return /^(export )?(declare )?(type|interface) /m.test(text);
}
