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

/** @param root The folder of package.json. */
export function apiPage(root: string): string {
  const out = mkdtempSync(join(tmpdir(), 'rebind-declarations-'));
  try {
    const tsc = join(root, 'node_modules/typescript/lib/tsc.js');
    const words = [tsc, '-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', out];
    const { status, stdout } = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8' });
    if (status !== 0) throw new Error(`tsc failed:\n${stdout}`);
    return page(exportsOf(join(out, 'index.d.ts')));
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The declarations that a file exports, its own and those it passes on, in the order of the file. */
function exportsOf(file: string): Map<string, string> {
  const text = readFileSync(file, 'utf8');
  const found = new Map<string, string>();
  for (const [name, declaration] of declarationsIn(text)) {
    // A function that is loaded late is declared as "that of another file": its own declaration says more.
    const [, from = '', original = ''] = /typeof import\(["']([^"']+)["']\)\.(\w+)/.exec(declaration) ?? [];
    const there =
      from === '' ? undefined : exportsOf(join(dirname(file), from.replace(/\.ts$/, '.d.ts'))).get(original);
    found.set(name, there ?? declaration);
  }
  for (const [, names = '', from = ''] of text.matchAll(/export (?:type )?\{([^}]*)\} from ["']([^"']+)["']/g)) {
    const there = exportsOf(join(dirname(file), from.replace(/\.ts$/, '.d.ts')));
    for (const name of names
      .split(',')
      .map((one) => one.trim())
      .filter(Boolean)) {
      const [original = name, alias = original] = name.replace(/^type /, '').split(' as ');
      const declaration = there.get(original);
      if (declaration === undefined) throw new Error(`${file} exports ${original}, which ${from} does not declare`);
      found.set(alias, declaration);
    }
  }
  return found;
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
      /^export (?:declare )?(?:abstract )?(?:default )?(?:async )?(?:function|class|interface|type|const|let) (\w+)/m.exec(
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

function page(found: ReadonlyMap<string, string>): string {
  const values = [...found].filter(([, text]) => !isType(text));
  const types = [...found].filter(([, text]) => isType(text));
  const section = ([name, text]: readonly [string, string]) => `### ${name}\n\n\`\`\`ts\n${text.trim()}\n\`\`\`\n`;
  return [introduction, '## Functions and classes\n', ...values.map(section), '## Types\n', ...types.map(section)].join(
    '\n',
  );
}

function isType(text: string): boolean {
  return /^export (declare )?(type|interface) /m.test(text);
}
