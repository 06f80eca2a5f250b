/**
 * The tools that are compared: how each is asked about a port, in its best configuration for scripts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Job, Standing } from './scene.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const peers = join(root, 'tools/peers/node_modules');

export interface Tool {
  readonly name: string;
  readonly job: Job;
  /** The command line; null when the tool cannot be asked about this endpoint, a Unix socket for instance. */
  readonly command: (standing: Standing, flags: readonly string[]) => readonly string[] | null;
  /** A program of the machine that it needs. */
  readonly needs?: string;
}

const rebind = join(root, 'dist/cli/rebind.cjs');

const withPort =
  (make: (port: string, udp: boolean) => readonly string[]) =>
  ({ port, endpoint }: Standing): readonly string[] | null =>
    port === null ? null : make(port, endpoint.startsWith('udp/'));

const npm = (name: string, ...args: readonly string[]): readonly string[] => [join(peers, '.bin', name), ...args];

/** A line of code that calls a library, in the folder where it is installed. */
const library = (code: string): readonly string[] => [
  process.execPath,
  '--input-type=module',
  '-e',
  `import { createRequire } from 'node:module'; import { pathToFileURL } from 'node:url';
   const at = createRequire(${JSON.stringify(join(peers, 'x.js'))});
   const load = async (name) => { try { return at(name); } catch { return import(pathToFileURL(at.resolve(name)).href); } };
   ${code}`,
];

export const tools: readonly Tool[] = [
  {
    name: 'rebind',
    job: 'explain',
    command: ({ endpoint }) => [process.execPath, rebind, 'why', '--', endpoint],
  },
  { name: 'lsof -i', job: 'explain', needs: 'lsof', command: withPort((port) => ['lsof', '-nP', `-i:${port}`]) },
  {
    name: 'ss -ap',
    job: 'explain',
    needs: 'ss',
    command: withPort((port) => ['ss', '-H', '-anp', '-t', '-u', `sport = :${port}`]),
  },
  {
    name: 'fuser -v',
    job: 'explain',
    needs: 'fuser',
    command: withPort((port) => ['fuser', '-v', `${port}/tcp`, `${port}/udp`]),
  },
  { name: 'witr', job: 'explain', needs: 'witr', command: withPort((port) => ['witr', '--port', port]) },
  { name: 'port-whisperer', job: 'explain', command: withPort((port) => npm('ports', port)) },
  {
    name: 'find-process',
    job: 'explain',
    command: withPort((port) =>
      library(
        `const m = await load('find-process'); const find = m.default?.default ?? m.default ?? m; console.log(JSON.stringify(await find('port', ${port})))`,
      ),
    ),
  },
  {
    name: 'pid-port',
    job: 'explain',
    command: withPort((port) =>
      library(
        `const { portToPid } = await load('pid-port'); console.log('pid', await portToPid({ port: ${port}, host: '*' }))`,
      ),
    ),
  },
  {
    name: 'rebind',
    job: 'free',
    command: ({ endpoint }, flags) => [process.execPath, rebind, 'free', ...flags, '--', endpoint],
  },
  {
    name: 'kill-port',
    job: 'free',
    command: withPort((port, udp) => npm('kill-port', ...(udp ? ['--method', 'udp'] : []), port)),
  },
  { name: 'fkill', job: 'free', command: withPort((port) => npm('fkill', `:${port}`)) },
  {
    name: 'kill-port-process',
    job: 'free',
    command: withPort((port) => [
      process.execPath,
      join(peers, 'kill-port-process/dist/bin/kill-port-process.js'),
      port,
    ]),
  },
  { name: 'ports kill', job: 'free', command: withPort((port) => npm('ports', 'kill', port)) },
  {
    name: 'fuser -k',
    job: 'free',
    needs: 'fuser',
    command: withPort((port, udp) => ['fuser', '-k', `${port}/${udp ? 'udp' : 'tcp'}`]),
  },
  {
    name: 'lsof | kill',
    job: 'free',
    needs: 'lsof',
    command: withPort((port) => ['sh', '-c', `lsof -ti :${port} | xargs -r kill -9`]),
  },
  {
    name: 'rebind',
    job: 'wait',
    command: ({ endpoint }, flags) => [process.execPath, rebind, 'wait', ...flags, '--timeout', '2s', '--', endpoint],
  },
  {
    name: 'tcp-port-used',
    job: 'wait',
    command: withPort((port) =>
      library(`const { waitUntilFree } = await load('tcp-port-used'); await waitUntilFree(${port}, 100, 2000)`),
    ),
  },
  {
    name: 'rebind',
    job: 'open',
    command: ({ endpoint }) => [process.execPath, rebind, 'wait', '--for', 'open', '--timeout', '2s', '--', endpoint],
  },
  {
    name: 'tcp-port-used',
    job: 'open',
    command: withPort((port) =>
      library(`const { waitUntilUsed } = await load('tcp-port-used'); await waitUntilUsed(${port}, 100, 2000)`),
    ),
  },
  {
    name: 'wait-on',
    job: 'open',
    command: withPort((port) => npm('wait-on', '-t', '2s', '-i', '1', `tcp:127.0.0.1:${port}`)),
  },
  { name: 'wait-on -r', job: 'wait', command: withPort((port) => npm('wait-on', '-r', '-t', '2s', `tcp:${port}`)) },
];

/** Why a tool cannot be run here, or null. */
export function lacks({ name, needs, command }: Tool): string | null {
  if (needs !== undefined)
    return spawnSync('sh', ['-c', `command -v ${needs}`], { stdio: 'ignore' }).status === 0
      ? null
      : `${needs} is not installed`;
  if (name === 'rebind') return null;
  const [file = '', second = ''] = command({ endpoint: '1', port: '1' }, []) ?? [];
  const program =
    file === process.execPath && second.startsWith('/') ? second : file === process.execPath ? peers : file;
  return existsSync(program) ? null : `${name} is not installed: npm ci --prefix tools/peers`;
}
