/**
 * `npm run situations -- [SITUATION...]`: rebind and every other tool in the same situations, each run in namespaces of its
 * own, graded by one set of rules. `--record` keeps the answers for docs/comparison.md.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { namespaceCommand, namespaceEnvironment } from '../src/stage/namespace.ts';
import type { Grade } from './situations/grade.ts';
import type { Job } from './situations/scene.ts';
import { scenes } from './situations/scenes.ts';
import { lacks, tools } from './situations/tools.ts';

/** One answer, as it is recorded. */
interface Answer {
  readonly tool: string;
  readonly grade: Grade;
  readonly status: number | null;
  readonly output: string;
  readonly harm?: readonly string[];
}

const recordTo = fileURLToPath(new URL('../../bench/recorded/situations.json', import.meta.url));
const runOne = fileURLToPath(new URL('situations/run-one.js', import.meta.url));
/** Recorded answers name no place of this machine. */
const checkout = fileURLToPath(new URL('../../', import.meta.url)).slice(0, -1);
const jobs: readonly Job[] = ['explain', 'free', 'wait', 'open'];
const wanted = process.argv.slice(2).filter((each) => !each.startsWith('--'));

const namespace = namespaceCommand();
if (namespace === null)
  throw new Error('this machine lets nobody make namespaces, and nothing is tried outside of one');
for (const tool of tools) {
  const reason = lacks(tool);
  if (reason !== null) console.log(`left out: ${tool.name}: ${reason}`);
}
const here = tools.filter((tool) => lacks(tool) === null);
const rows: { id: string; title: string; job: Job; answers: Answer[] }[] = [];
for (const scene of scenes) {
  if (wanted.length > 0 && !wanted.includes(scene.id)) continue;
  for (const job of jobs) {
    if (scene[job] === undefined) continue;
    const answers: Answer[] = [];
    for (const tool of here.filter((each) => each.job === job)) answers.push(ask(scene.id, job, tool.name));
    rows.push({ id: scene.id, title: scene.title, job, answers });
    console.log(`${scene.id} ${job}: ${answers.map((each) => `${each.tool} ${each.grade}`).join(', ')}`);
  }
}
const ours = rows.flatMap(({ id, job, answers }) =>
  answers.filter(({ tool, grade }) => tool === 'rebind' && grade !== 'right').map((each) => ({ id, job, ...each })),
);
for (const { id, job, grade, status, output, harm = [] } of ours)
  console.log(`\n== rebind is ${grade}: ${id}, ${job} (exit status ${status})\n${[...harm, output].join('\n')}`);
if (process.argv.includes('--record')) {
  const before = existsSync(recordTo) ? (JSON.parse(readFileSync(recordTo, 'utf8')) as { rows: typeof rows }).rows : [];
  const isNew = (row: (typeof rows)[number]): boolean =>
    !before.some(({ id, job }) => id === row.id && job === row.job);
  const kept = before.map((row) => rows.find(({ id, job }) => id === row.id && job === row.job) ?? row);
  const machine = `Linux ${release()}, Node ${process.versions.node}`;
  writeFileSync(
    recordTo,
    `${JSON.stringify({ machine, date: new Date().toISOString().slice(0, 10), rows: [...kept, ...rows.filter(isNew)] }, null, 1)}\n`,
  );
}
process.exitCode = rows.length === 0 || ours.some(({ grade }) => grade === 'wrong') ? 1 : 0;

function ask(id: string, job: Job, tool: string): Answer {
  const [file = '', ...before] = namespace ?? [];
  const { stdout, stderr, status } = spawnSync(file, [...before, process.execPath, runOne, id, job, tool], {
    encoding: 'utf8',
    env: namespaceEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
    timeout: 90_000,
    killSignal: 'SIGKILL',
  });
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`${id} with ${tool} could not be run (${status}): ${stderr}`);
  const { grade, output, status: left, harm } = JSON.parse(line) as Answer;
  // Five lines tell enough, and no answer of a tool is longer in the page.
  const short = output
    .replaceAll(checkout, '/home/ann/rebind')
    .trim()
    .split('\n')
    .slice(0, tool === 'rebind' ? 30 : 5)
    .join('\n')
    .slice(0, 2_000);
  return { tool, grade, status: left, output: short, ...(harm !== undefined && harm.length > 0 && { harm }) };
}
