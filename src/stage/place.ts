/**
 * A place where the programs of a stage run: this machine, or a host of the stage's own network.
 */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Actor } from './actor.ts';
import { leashOf, plainEnvironment, release, startActor } from './actor-process.ts';
import type { NodeProgramOptions, NodeServer, Place, StageUser } from './stage.ts';

/** What a place needs of its stage. */
export interface PlaceOwner {
  directory(): string;
  defer(undo: () => Promise<unknown>): void;
}

/** A place that is entered with the command `enter`; empty for this machine. `written` counts the program files of the stage. */
export function placeOf(enter: readonly string[], owner: PlaceOwner, written: { count: number }): Place {
  const start = (words: readonly string[], options: SpawnOptions): ChildProcess => {
    const [file = '', ...args] = [...enter, ...words];
    return spawn(file, args, options);
  };
  const place: Place = {
    enter,
    async actor(role, user?: StageUser): Promise<Actor> {
      const actor = await startActor(role, user, enter);
      owner.defer(async () => actor[Symbol.asyncDispose]());
      return actor;
    },
    nodeServer: (listen) => place.nodeProgram(serverProgram(listen)),
    async nodeProgram(source, options: NodeProgramOptions = {}): Promise<NodeServer> {
      // Each has its own file: a program may be started while another is still being read.
      const name = written.count++ === 0 ? 'server.js' : `server-${written.count}.js`;
      writeFileSync(join(owner.directory(), name), source);
      const { descriptors } = options;
      const limited = descriptors === undefined ? [] : ['prlimit', `--nofile=${descriptors}:${descriptors}`];
      const child = start([...limited, process.execPath, ...(options.flags ?? []), name], {
        cwd: owner.directory(),
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        env: { ...plainEnvironment(), NODE_OPTIONS: `--import=${new URL('../stage/leash.js', import.meta.url).href}` },
      });
      const leash = leashOf(child);
      const end = endOf(child);
      owner.defer(async () => {
        await end();
        await release(leash);
      });
      const line = await lineOf(child, /^listening on port (\d+)$/m);
      return { pid: child.pid ?? 0, port: Number(line[1]), kill: end };
    },
    async program(words, ready) {
      const child = start(words, { stdio: ['ignore', 'pipe', 'pipe'], env: withAdministration() });
      owner.defer(endOf(child));
      await lineOf(child, ready);
      return { pid: child.pid ?? 0 };
    },
    async run(words) {
      const [file = '', ...args] = [...enter, ...words];
      const { stdout } = await promisify(execFile)(file, args, { env: withAdministration() });
      return stdout;
    },
    shell: (...lines) => place.run(['sh', '-ec', lines.join('\n')]),
  };
  return place;
}

/** Ordinary users often lack the folders of the administrator's programs, such as ip(8). */
function withAdministration(): NodeJS.ProcessEnv {
  const environment = plainEnvironment();
  return { ...environment, PATH: `${environment['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` };
}

/** The kind of server that the reader of the answer has, too. */
function serverProgram(listen: Readonly<Record<string, unknown>>): string {
  return `const { createServer } = require('node:http');

const server = createServer((request, response) => response.end('hello\\n'));
server.listen(${JSON.stringify(listen)}, () => {
  // Not at once: libuv begins to wait for connections when it polls next.
  setImmediate(() => setImmediate(() => console.log('listening on port', server.address().port ?? 0)));
});
`;
}

/** Ends a child by its handle: until its exit is seen, the pid is its own. Harmless when it left already. */
export function endOf(child: ChildProcess): () => Promise<void> {
  const gone = once(child, 'exit').then(
    () => {},
    // It never started.
    () => {},
  );
  return async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await gone;
  };
}

/** Resolves to the first match in what a child prints. @throws {Error} with what it printed when it leaves before. */
export function lineOf(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const read = (chunk: Buffer): void => {
      printed += chunk.toString();
      const match = pattern.exec(printed);
      if (match !== null) resolve(match);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(new Error(`${child.spawnfile} left (${signal ?? `exit status ${code}`}) before it was ready: ${printed}`));
    });
  });
}
