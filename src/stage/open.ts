/**
 * Opens a stage: the one way to make the processes and sockets of a cause.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BindOptions, nodeTcpOptions, nodeUdpOptions, type Request } from '../model/endpoint.ts';
import { startContainer } from './container.ts';
import { hasEveryUser, insideNamespace } from './namespace.ts';
import { openHost, openNetwork } from './network.ts';
import { placeOf } from './place.ts';
import { freePort, settled } from './ports.ts';
import type { Stage, StagedFields, StageUser } from './stage.ts';

/** nobody asks, daemon is the other: both exist on every Linux, and neither is anybody. */
const nobody: StageUser = { uid: 65_534, gid: 65_534 };
const daemon: StageUser = { uid: 1, gid: 1 };

/** A stage on this machine, or in the namespace that this process runs in. */
export function openStage(): Stage {
  const undo: (() => Promise<unknown>)[] = [];
  let directory: string | undefined;

  const written = { count: 0 };
  const owner = {
    directory: () => stage.directory(),
    defer: (step: () => Promise<unknown>) => stage.defer(step),
  };

  const stage: Stage = {
    ...placeOf([], owner, written),
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
    host: () => openHost(owner, written),
    network: () => openNetwork(owner, written),
    defer(step) {
      undo.push(step);
    },
    tcp: (address, port, options) => inet('tcp', address, port, { ...nodeTcpOptions, ...options }),
    udp: (address, port, options) => inet('udp', address, port, { ...nodeUdpOptions, ...options }),
    unix: (path) => ({ endpoint: { protocol: 'unix', path }, options: nodeTcpOptions }),
    unprivileged: () => ({ askAs: unprivilegedCommand() }),
    sandboxed: (policy = 'no-bind') => ({
      askAs: [process.execPath, fileURLToPath(new URL('../stage/sandbox.js', import.meta.url)), policy],
    }),
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
