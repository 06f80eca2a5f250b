/**
 * A crowded machine, in a namespace of its own: so many processes, each with so many TCP sockets and files.
 * Then measures how long it takes to name the holder of one port among them. `npm run bench -- why` runs it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { linux } from '../src/os/linux/index.ts';
import { cgroup2Mount } from '../src/os/linux/proc/cgroup.ts';
import { openProc } from '../src/os/linux/proc/proc.ts';
import { hasEveryUser, insideNamespace, raiseLoopback } from '../src/stage/namespace.ts';
import { findProgram } from '../src/stage/needs.ts';
import { explain } from '../src/why.ts';
import { command, type Result, race, raceTable } from './measure.ts';
import type { Report } from './tables.ts';

/** Nobody; the crowd belongs to it where there is more than one user. */
const otherUser = 65_534;
/** Below the automatic ports, so that nobody in the crowd has it. */
const port = 3000;
const rounds = 7;
const own = 'rebind, the call';

/** @param args How many processes, and how many sockets and files each of them has. */
export async function run(args: readonly string[], report: Report): Promise<void> {
  if (!insideNamespace()) {
    console.error('Not here: npm run bench -- why makes a namespace for it');
    return;
  }
  const [processes = 0, socketsEach = 0, filesEach = 0] = args.map(Number);
  raiseLoopback();
  const users = hasEveryUser();
  const size = `${processes} processes, ${processes * socketsEach} sockets, ${processes * (socketsEach + filesEach + 3)} descriptors`;
  await crowd(processes, socketsEach, filesEach, users ? otherUser : null);
  const measured = async (name: string, what: string, user: number | null, cgroup: string | null): Promise<void> => {
    report.add(raceTable(name, `Naming the holder among ${size}: ${what}`, await measure(user, cgroup), own));
  };
  await measured('crowd', 'nothing narrows the search', users ? otherUser : null, null);
  if (users) await measured('crowd-user', 'the user narrows the search', null, null);
  else console.log('\nNot measured: a search narrowed by the user, which needs a second user and so root');
  const mount = cgroup2Mount(openProc('/proc'));
  const group = mount === null ? null : `${mount}/rebind-bench-${process.pid}`;
  if (group === null || !users || !made(group)) {
    console.log('\nNot measured: a search narrowed by the cgroup, which needs root and a mounted cgroup2');
    return;
  }
  try {
    await measured('crowd-cgroup', 'the cgroup narrows the search', otherUser, group);
  } finally {
    await removeGroup(group);
  }
}

/** Sleeping processes that got their descriptors from us. They end with the namespace. */
async function crowd(processes: number, socketsEach: number, filesEach: number, user: number | null): Promise<void> {
  const { sockets } = linux;
  const file = openSync('/dev/null', 'r');
  for (let i = 0; i < processes; i++) {
    const given: number[] = [];
    for (let j = 0; j < socketsEach; j++) {
      const fd = sockets.open('tcp', 4);
      sockets.bind(fd, { protocol: 'tcp', address: `127.${1 + (i % 200)}.${1 + Math.floor(i / 200)}.1`, port: 0 });
      if (j % 2 === 0) sockets.listen(fd, 5);
      given.push(fd);
    }
    const files = new Array<number>(filesEach).fill(file);
    const identity = user === null ? {} : { uid: user, gid: user };
    const child = spawn('sleep', ['100000'], {
      stdio: ['ignore', 'ignore', 'ignore', ...given, ...files],
      ...identity,
    });
    await once(child, 'spawn');
    // The end of this program ends the namespace, and nobody waits for the crowd.
    child.unref();
    for (const fd of given) sockets.close(fd);
  }
  closeSync(file);
}

async function measure(user: number | null, cgroup: string | null): Promise<Result[]> {
  const server = await serve(user, cgroup);
  const request = {
    endpoint: { protocol: 'tcp', address: '127.0.0.1', port },
    options: { reuseAddress: true, reusePort: false, v6Only: false, device: null },
  } as const;
  const contestants: Record<string, () => void> = {
    'ss -tlnp': command(findProgram('ss') ?? 'ss', ['-tlnp']),
    [`ss -tlnp sport = :${port}`]: command(findProgram('ss') ?? 'ss', ['-tlnp', 'sport', '=', `:${port}`]),
    [own]: () => {
      const { blockers } = explain(request, linux);
      if (blockers[0]?.holders[0]?.pid !== server.pid) throw new Error('rebind did not name the holder');
    },
  };
  const lsof = findProgram('lsof');
  if (lsof !== null) contestants['lsof -i'] = command(lsof, ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN']);
  const fuser = findProgram('fuser');
  if (fuser !== null) contestants['fuser'] = command(fuser, [`${port}/tcp`]);
  const all = race(contestants, rounds);
  server.kill('SIGKILL');
  await once(server, 'exit');
  return all;
}

/** A server on the port, which is started by a shell so that it can enter a cgroup first. */
async function serve(user: number | null, cgroup: string | null): Promise<ChildProcess> {
  const program = `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'))`;
  const enter = cgroup === null ? '' : `echo $$ > ${cgroup}/cgroup.procs && `;
  const drop = user === null ? '' : `setpriv --reuid ${user} --regid ${user} --clear-groups `;
  const shell = ['-c', `${enter}exec ${drop}"$0" -e "$1"`, process.execPath, program];
  const child = spawn('sh', shell, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** The kernel takes a process out of its cgroup a moment after its end was reported. */
async function removeGroup(group: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return rmdirSync(group);
    } catch (error) {
      if (tries === 50) throw error;
      await setTimeout(20);
    }
  }
}

function made(group: string): boolean {
  try {
    mkdirSync(group);
    return true;
  } catch {
    return false;
  }
}
