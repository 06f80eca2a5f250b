/**
 * One tool in one situation, in a namespace of its own: `run-one.js SCENE JOB TOOL` prints what came of it as JSON.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { insideNamespace, raiseLoopback } from '../../src/stage/namespace.ts';
import { openStage } from '../../src/stage/open.ts';
import { openWorld } from '../../test/free/world.ts';
import { grade, type Outcome } from './grade.ts';
import { nodeListens } from './parts.ts';
import type { Job, Standing } from './scene.ts';
import { scenes } from './scenes.ts';
import { tools } from './tools.ts';

/** A tool that hangs is stopped after this long, and its answer is what it had printed. */
const limitMs = 20_000;

if (!insideNamespace()) throw new Error('run-one.js runs in a namespace of its own: npm run situations makes one');
raiseLoopback();
const [id, job = '', name] = process.argv.slice(2);
const scene = scenes.find((each) => each.id === id);
const tool = tools.find((each) => each.name === name && each.job === job);
if (scene === undefined || tool === undefined) throw new Error(`no situation ${id} or tool ${name}`);
const world = openWorld();
const stage = openStage();
try {
  const standing = await scene.stand(world, stage);
  const command = tool.command(standing, scene.flags ?? []);
  if (command === null) print({ grade: 'not asked', output: '', status: null });
  else {
    const ran = await run([...(standing.askAs ?? []), ...command], standing);
    const outcome: Outcome = {
      ...ran,
      bindable: (await canBind(standing)) && (await staysFree(standing)),
      harm: await harmOf(standing),
    };
    print({ grade: grade(job as Job, scene, standing, outcome), ...outcome });
  }
} finally {
  await world[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
}
// A process that a scene left behind may hold our pipes; the namespace ends with us, and it with that.
process.exit();

function print(answer: object): void {
  writeSync(1, `${JSON.stringify(answer)}\n`);
}

async function run(
  [file = '', ...args]: readonly string[],
  { cwd, env }: Standing,
): Promise<Pick<Outcome, 'status' | 'output' | 'elapsedMs'>> {
  const began = performance.now();
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', NO_UPDATE_NOTIFIER: '1', ...env },
    timeout: limitMs,
    killSignal: 'SIGKILL',
    ...(cwd !== undefined && { cwd }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, output, elapsedMs: Math.round(performance.now() - began) };
}

function canBind({ endpoint, bind }: Standing): Promise<boolean> {
  if (bind !== undefined) return bind();
  const address = /^\[?([\d.]+|[\da-f:]+)\]?:(\d+)$/i.exec(endpoint);
  const port = Number(address?.[2] ?? endpoint);
  if (!Number.isInteger(port) || port > 65_535) return Promise.resolve(false);
  return nodeListens(address?.[1] === undefined ? { port } : { port, host: address[1] });
}

/** A port that is taken again a moment later was not freed. */
async function staysFree(standing: Standing): Promise<boolean> {
  if (standing.againAfterMs === undefined) return true;
  await sleep(standing.againAfterMs);
  return canBind(standing);
}

async function harmOf({ innocent = [], harm }: Standing): Promise<string[]> {
  const gone = innocent.filter((pid) => !isAlive(pid)).map((pid) => `process ${pid}, which should live, is gone`);
  const more = (await harm?.()) ?? null;
  return more === null ? gone : [...gone, more];
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
