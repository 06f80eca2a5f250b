/**
 * Opens a stage: the one way to make the processes and sockets of a cause.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BindOptions, nodeTcpOptions, nodeUdpOptions, type Request } from '../model/endpoint.ts';
import type { Actor } from './actor.ts';
import { leashOf, plainEnvironment, release, startActor } from './actor-process.ts';
import { startContainer } from './container.ts';
import { hasEveryUser, insideNamespace } from './namespace.ts';
import { freePort, settled } from './ports.ts';
import type { NodeServer, Stage, StagedFields, StageUser } from './stage.ts';

/** nobody asks, daemon is the other: both exist on every Linux, and neither is anybody. */
const nobody: StageUser = { uid: 65_534, gid: 65_534 };
const daemon: StageUser = { uid: 1, gid: 1 };

/** A stage on this machine, or in the namespace that this process runs in. */
export function openStage(): Stage {
  const undo: (() => Promise<unknown>)[] = [];
  let directory: string | undefined;

  const stage: Stage = {
    freePort,
    settled,
    directory() {
      if (directory !== undefined) return directory;
      const made = mkdtempSync(join(tmpdir(), 'rebind-stage-'));
      undo.push(async () => rmSync(made, { recursive: true, force: true }));
      directory = made;
      return made;
    },
    file(name, text) {
      const path = join(stage.directory(), name);
      writeFileSync(path, text);
      return path;
    },
    container: (port) => startContainer(stage, port),
    async actor(role, user): Promise<Actor> {
      const actor = await startActor(role, user);
      undo.push(async () => actor[Symbol.asyncDispose]());
      return actor;
    },
    async nodeServer(listen): Promise<NodeServer> {
      writeFileSync(join(stage.directory(), 'server.js'), serverProgram(listen));
      const child = spawn(process.execPath, ['server.js'], {
        cwd: stage.directory(),
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        env: { ...plainEnvironment(), NODE_OPTIONS: `--import=${new URL('../stage/leash.js', import.meta.url).href}` },
      });
      const leash = leashOf(child);
      const end = endOf(child);
      undo.push(async () => {
        await end();
        await release(leash);
      });
      const line = await lineOf(child, /^listening on port (\d+)$/m);
      return { pid: child.pid ?? 0, port: Number(line[1]), kill: end };
    },
    async program([file = '', ...args], ready) {
      const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: plainEnvironment() });
      undo.push(endOf(child));
      await lineOf(child, ready);
      return { pid: child.pid ?? 0 };
    },
    async run([file = '', ...args]) {
      const { stdout } = await promisify(execFile)(file, args, { env: plainEnvironment() });
      return stdout;
    },
    defer(step) {
      undo.push(step);
    },
    tcp: (address, port, options) => inet('tcp', address, port, { ...nodeTcpOptions, ...options }),
    udp: (address, port, options) => inet('udp', address, port, { ...nodeUdpOptions, ...options }),
    unix: (path) => ({ endpoint: { protocol: 'unix', path }, options: nodeTcpOptions }),
    unprivileged: () => ({ askAs: unprivilegedCommand() }),
    sandboxed: () => ({ askAs: [process.execPath, fileURLToPath(new URL('../stage/sandbox.js', import.meta.url))] }),
    secondUser: () => daemon,
    setting(name, value) {
      if (!insideNamespace())
        throw new Error(`refusing to change net.${name} outside of a namespace of the stage's own`);
      writeFileSync(`/proc/sys/net/${name.replaceAll('.', '/')}`, value);
    },
    staged(fields: StagedFields) {
      const holders = [...(fields.holders ?? [])].sort((a, b) => a - b);
      return {
        ...fields,
        holders,
        askAs: fields.askAs ?? [],
        [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
      };
    },
    async [Symbol.asyncDispose]() {
      // One that fails must not keep the others alive.
      const failures: unknown[] = [];
      for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
        try {
          await step();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'the stage could not be cleared');
    },
  };
  return stage;
}

function inet(protocol: 'tcp' | 'udp', address: string, port: number, options: BindOptions): Request {
  return { endpoint: { protocol, address, port }, options };
}

/** Gives up every right: as another user where there is one, else as root without capabilities. */
function unprivilegedCommand(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const rights = ['--bounding-set=-all', '--inh-caps=-all'];
  if (!hasEveryUser()) return ['setpriv', ...rights];
  return ['setpriv', `--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, '--clear-groups', ...rights];
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
function endOf(child: ChildProcess): () => Promise<void> {
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
function lineOf(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
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
