/** docs/api.md is written from the declarations: every public name has words above it, and every function and class an example that runs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as library from '../src/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every public name with its declaration and the comment above it. */
const sections = new Map(
  [...readFileSync(`${root}docs/api.md`, 'utf8').matchAll(/^### (\w+)\n\n```ts\n([\s\S]*?)\n```\n(?=\n|$)/gm)].map(
    ([, name = '', text = '']) => [name, text],
  ),
);

/** The examples in a text of declarations, without the stars of their comments. */
function examplesIn(text: string): string[] {
  return [...text.matchAll(/@example\n\s*\* ```ts\n([\s\S]*?)\n\s*\* ```/g)].map(([, example = '']) =>
    example.replaceAll(/^\s*\* ?/gm, ''),
  );
}

/** What the examples take for granted: the modules of Node, a server, and a connection to it. */
const before = `
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { ${Object.keys(library).join(', ')} } from 'rebind';
const app = (_request, response) => response.end('hello\\n');
`;
const given: Readonly<Record<string, string>> = {
  database: 'const database = { ping: async () => true };',
  server: 'const server = http.createServer(app);',
  socket:
    "const socket = await new Promise((resolve) => { const to = http.createServer(app).listen(0, '127.0.0.1', () => { const made = net.connect(to.address().port, '127.0.0.1', () => resolve(made)); }); });",
  error:
    "const error = await listen(http.createServer(app), { port: 0, host: '192.0.2.1' }).catch((failure) => failure);",
};

const folder = mkdtempSync(join(tmpdir(), 'rebind-examples-'));
mkdirSync(join(folder, 'node_modules'));
symlinkSync(root, join(folder, 'node_modules/rebind'));
after(() => rmSync(folder, { recursive: true }));

test('every public name is documented', () => {
  for (const name of Object.keys(library)) assert.ok(sections.has(name), name);
  for (const [name, text] of sections) assert.match(text, /^\/\*\*/, `${name} has no comment`);
});

test('a type that a public function takes or resolves with has a public name, and the page shows all that it consists of', () => {
  const page = readFileSync(`${root}docs/api.md`, 'utf8');
  const [functions = '', named = '', parts = ''] = page.split(/^## (?:Types|What the types consist of)$/m);
  const names = (text: string): Set<string> =>
    new Set([...text.matchAll(/^### (\w+)$/gm)].map(([, name = '']) => name));
  const unnamed = names(parts);
  assert.ok(unnamed.has('BlockerHolder') && names(named).has('Blocker'), 'the page was not read');
  for (const [line] of functions.matchAll(/^export declare function .*$/gm))
    for (const [word] of line.matchAll(/\b[A-Z]\w+\b/g)) assert.ok(!unnamed.has(word), `${word} in ${line}`);
  const index = readFileSync(`${root}src/index.ts`, 'utf8');
  const exported = [...index.matchAll(/^export type \{([^}]*)\}/gm)].flatMap(([, list = '']) =>
    list.trim().split(/,\s*/),
  );
  assert.deepEqual(
    new Set(exported.filter(Boolean)),
    new Set([...names(named), ...exported.filter((name) => name === 'Hold' || name === 'Client')]),
  );
});

test('what a function that is loaded late says at its door is what it says at home', () => {
  const door = readFileSync(`${root}src/lazy.ts`, 'utf8');
  for (const [, comment = '', name = ''] of door.matchAll(/(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)\nexport const (\w+):/g)) {
    assert.deepEqual(examplesIn(comment), examplesIn(sections.get(name) ?? ''), name);
  }
});

test('every function and every class has an example', () => {
  for (const name of Object.keys(library)) assert.ok(examplesIn(sections.get(name) ?? '').length > 0, name);
});

for (const [name, text] of sections) {
  const examples = examplesIn(text);
  if (examples.length === 0) continue;
  test(`the example of ${name} runs`, { timeout: 60_000 }, async () => {
    for (const example of examples) {
      const { status, output } = await run(example);
      assert.equal(status, 0, `${example}\n\n${output}`);
    }
  });
}

/** Runs it as a module of its own, on ports that are free instead of 3000 and 9000. What still runs after two seconds without an error is right, too. */
async function run(example: string): Promise<{ status: number | null; output: string }> {
  using reserved = await library.reserve();
  using second = await library.reserve();
  const ports = [String(reserved.port), String(second.port)] as const;
  reserved.release();
  second.release();
  const lines = Object.entries(given).filter(
    ([name]) =>
      new RegExp(`\\b${name}\\b`).test(example) &&
      !new RegExp(`(const |catch \\(|\\()${name}\\b(?=\\)? (=|=>|\\{))`).test(example),
  );
  const code = `${before}${lines.map(([, line]) => line).join('\n')}\nsetTimeout(() => process.exit(), 2000);\n${example}\nprocess.exit();\n`;
  const onPort = (text: string): string => text.replaceAll(/\b3000\b/g, ports[0]).replaceAll(/\b9000\b/g, ports[1]);
  writeFileSync(join(folder, 'server.js'), onPort("require('node:http').createServer().listen(3000)"));
  writeFileSync(join(folder, 'example.mjs'), onPort(code));
  const child = spawn(process.execPath, ['--no-warnings', 'example.mjs'], { cwd: folder, detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [status] = (await once(child, 'close')) as [number | null];
  try {
    // What the example started and left behind: a group of its own.
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
  return { status, output };
}
