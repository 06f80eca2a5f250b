/** Runs `rebind reach` where a stage says, and reads its answer. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import type { ReachReport } from '../../src/causes/connect/index.ts';
import { reachPicture } from '../../src/cli/reach-text.ts';
import type { ConnectStaged } from '../../src/stage/connect/stage.ts';
import { main } from '../cli/command-line.ts';

/** The document has the fields of the report, and `schema`. */
export type Document = ReachReport & { readonly schema: 1 };

export interface Answer {
  readonly json: Document;
  /** What the command prints without `--json`, at 80 columns without colour. */
  readonly text: string;
  readonly status: number;
  readonly elapsedMs: number;
}

/** No answer takes as long. */
const limitMs = 20_000;

export async function reach(staged: ConnectStaged, { asUser = false, flags = [] as string[] } = {}): Promise<Answer> {
  const words = [process.execPath, main, 'reach', ...staged.words, ...flags, '--json'];
  const [file = '', ...args] = [...staged.from, ...(asUser ? staged.asUser : []), ...words];
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const started = performance.now();
  const { status, stdout, stderr } = await run(file, args, { ...env, ...staged.environment });
  const elapsedMs = performance.now() - started;
  assert.equal(stderr, '', `it wrote to stderr: ${stdout}`);
  const json = JSON.parse(stdout) as Document;
  const text = reachPicture(json, { width: 80, unicode: true, paint: (_style, text) => text }, Date.now());
  assert.ok(text.split('\n').length <= 26, `the picture is too long:\n${text}`);
  // A command is never broken: it is to be pasted.
  const commands = new Set(json.plan.map(({ command }) => command));
  for (const line of text.split('\n'))
    assert.ok(
      line.length <= 80 || commands.has(line.trim()) || !line.trim().includes(' '),
      `a line is too long: ${line}`,
    );
  return { json, text, status, elapsedMs };
}

/** A text without its blanks: where a line is broken says nothing. */
export function shown(text: string): string {
  return text.replace(/\s+/g, '');
}

function run(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      { env, timeout: limitMs, killSignal: 'SIGKILL', encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ status: 0, stdout, stderr });
        if (typeof error.code !== 'number' || error.killed === true)
          return reject(new Error(`${file} ${args.join(' ')} failed (${error.message}): ${stdout}${stderr}`));
        resolve({ status: error.code, stdout, stderr });
      },
    );
  });
}
