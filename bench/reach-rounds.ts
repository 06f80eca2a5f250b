/**
 * The rounds of `npm run bench -- reach`, in a namespace of their own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AddressCause, TargetCause } from '../src/causes/connect/form.ts';
import { causes } from '../src/causes/connect/index.ts';
import { openConnectStage } from '../src/stage/connect/open.ts';
import type { ConnectStaged } from '../src/stage/connect/stage.ts';
import { insideNamespace, raiseLoopback } from '../src/stage/namespace.ts';
import { findProgram, missing } from '../src/stage/needs.ts';
import { command, race, raceTable } from './measure.ts';
import type { Report } from './tables.ts';

const root = new URL('../../', import.meta.url);
const rebind = fileURLToPath(new URL('dist/cli/rebind.cjs', root));
const rounds = 31;
/** Longer than any of these tools should need to say what it knows. */
const patienceMs = 20_000;

/** The situations that a tool is asked about; each is the first stage of its cause that this machine can bring about. */
const situations = [
  'nothing-listens',
  'other-family',
  'loopback-only',
  'bound-not-listening',
  'other-namespace',
  'stopped',
  'loop-stuck',
  'never-accepts',
  'busy-with-another-client',
  'descriptor-limit',
  'queue-full',
  'socket-filter',
  'own-firewall-rejects',
  'own-firewall-drops-input',
  'own-firewall-drops-output',
  'no-route',
  'route-prohibit',
  'accepted-never-answers',
  'closes-at-once',
  'wrong-protocol',
] as const;

/** @param args Names of situations; by default all. */
export async function run(args: readonly string[], report: Report): Promise<void> {
  if (!insideNamespace()) throw new Error('Run npm run bench -- reach: it makes a namespace');
  if (!existsSync(rebind)) throw new Error('Build first: npm run build');
  raiseLoopback();
  if (args.length === 0) await times(report);
  await answers(args.length === 0 ? situations : args, report);
}

async function times(report: Report): Promise<void> {
  const node = process.execPath;
  const [open, closed] = [3_001, 3_002];
  const program = `require('node:http').createServer((_, response) => response.end('hello')).listen(${open}, '127.0.0.1', () => console.log('ready'))`;
  const server = spawn(node, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  const why = `rebind why`;
  const contestants: Record<string, () => void> = {
    'node -e 0': command(node, ['-e', '0']),
    [why]: command(node, [rebind, 'why', `127.0.0.1:${open}`], [1]),
    'rebind reach (works)': command(node, [rebind, 'reach', `127.0.0.1:${open}`], [0]),
    'rebind reach (works, with a request)': command(node, [rebind, 'reach', `http://127.0.0.1:${open}/`], [0]),
    'rebind reach (refused)': command(node, [rebind, 'reach', `127.0.0.1:${closed}`], [1]),
  };
  for (const [name, [file = '', ...words]] of Object.entries(tools({ host: '127.0.0.1', port: open, speaks: 'http' })))
    if (findProgram(file) !== null || file === node) contestants[`${name} (works)`] = command(file, words, [0]);
  report.add(
    raceTable('time', 'An answer about a port of this machine, the whole command', race(contestants, rounds), why),
  );
  server.kill('SIGKILL');
  await once(server, 'exit');
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly speaks: 'http' | 'tls' | null;
}

/** What else is asked whether a port can be reached, with the words that make it end by itself. */
function tools({ host, port, speaks }: Place): Record<string, string[]> {
  const seconds = '3';
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const scheme = speaks === 'tls' ? 'https' : 'http';
  const peers: Record<string, string[]> = {
    curl: [
      'curl',
      '--silent',
      '--show-error',
      '--insecure',
      '--output',
      '/dev/null',
      '--max-time',
      seconds,
      `${scheme}://${place}/`,
    ],
    nc: ['nc', '-z', '-w', seconds, host, String(port)],
    'nmap -sT': [
      'sh',
      '-c',
      `nmap ${host.includes(':') ? '-6 ' : ''}-sT -Pn -n --host-timeout 5s -p ${port} ${host} | grep -q '^${port}/tcp *open '`,
    ],
  };
  const waitOn = fileURLToPath(new URL('tools/peers/node_modules/wait-on/bin/wait-on', root));
  if (existsSync(waitOn)) peers['wait-on'] = [process.execPath, waitOn, '--timeout', '3000', `tcp:${host}:${port}`];
  const portUsed = fileURLToPath(new URL('tools/peers/node_modules/tcp-port-used/index.js', root));
  const asks = `require(${JSON.stringify(portUsed)}).waitUntilUsedOnHost(${port}, ${JSON.stringify(host)}, 200, 3000).then(() => process.exit(0), () => process.exit(1))`;
  if (existsSync(portUsed)) peers['tcp-port-used'] = [process.execPath, '-e', asks];
  return peers;
}

async function answers(wanted: readonly string[], report: Report): Promise<void> {
  const all: readonly (AddressCause<string, object> | TargetCause<string, object>)[] = causes;
  const rows: string[][] = [];
  const names = Object.keys(tools({ host: '127.0.0.1', port: 1, speaks: null }));
  const right = new Map<string, number>();
  for (const id of wanted) {
    const variant = all.find((cause) => cause.id === id)?.stages.find(({ needs }) => missing(needs) === null);
    if (variant === undefined) continue;
    const stage = openConnectStage();
    try {
      const staged = await variant.stage(stage);
      const asked = ask(staged, [process.execPath, rebind, 'reach', ...staged.words, '--json']);
      if (asked.stdout === '') throw new Error(`rebind reach printed nothing about ${id}: ${asked.stderr}`);
      const answer = JSON.parse(asked.stdout) as {
        verdict: { cause: string } | null;
        addresses: { address: string }[];
      };
      const isRight = answer.verdict?.cause === id;
      const said = [`${isRight ? 'the cause' : (answer.verdict?.cause ?? 'no cause')} (${seconds(asked.elapsedMs)})`];
      if (isRight) right.set('rebind reach', (right.get('rebind reach') ?? 0) + 1);
      for (const name of names) {
        const place = placeOf(staged, answer.addresses[0]?.address ?? '127.0.0.1');
        const tried = ask(staged, tools(place)[name] ?? []);
        // Nothing but its exit status: none of them has a word for a cause.
        const works = tried.status === 0;
        said.push(`${works ? 'works: wrong' : 'fails'} (${seconds(tried.elapsedMs)})`);
      }
      rows.push([id, ...said]);
    } finally {
      await stage[Symbol.asyncDispose]();
    }
  }
  report.add({
    name: 'answers',
    title: 'What each says where a client gets no answer',
    note: `rebind names the cause in ${right.get('rebind reach') ?? 0} of ${rows.length}. The others say whether it works; "works" is wrong in all of these, and "fails" is true of all of them.`,
    head: ['', 'rebind reach', ...names],
    rows,
  });
}

/** The target as other tools want it. A name or a path of a socket is none. */
function placeOf({ words }: ConnectStaged, address: string): Place {
  const [word = ''] = words;
  const scheme = /^(https?):\/\//.exec(word)?.[1];
  const port = Number(/:(\d+)(?:\/|$)/.exec(word)?.[1] ?? word);
  return { host: address, port, speaks: scheme === 'https' ? 'tls' : 'http' };
}

function ask(
  staged: ConnectStaged,
  words: readonly string[],
): { status: number | null; stdout: string; stderr: string; elapsedMs: number } {
  const [file = '', ...rest] = [...staged.from, ...words];
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(file, rest, {
    encoding: 'utf8',
    timeout: patienceMs,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...staged.environment },
  });
  return { status, stdout, stderr, elapsedMs: performance.now() - began };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 1_000 ? 2 : 1)} s`;
}
