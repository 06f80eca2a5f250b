/**
 * A place for a real engine: namespaces of its own for processes, files, the network and System V IPC, that end with all that runs in them.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasEveryUser } from '../../src/stage/namespace.ts';
import { findProgram } from '../../src/stage/needs.ts';

export const checkout = fileURLToPath(new URL('../../../', import.meta.url)).slice(0, -1);
const command = join(checkout, 'dist/cli/rebind.cjs');

/** Why an engine cannot run here, or false. */
export function lacks(...programs: readonly string[]): string | false {
  if (!hasEveryUser()) return 'a real engine needs root';
  const missing = programs.find((program) => findProgram(program) === null);
  return missing === undefined ? false : `${missing} is not installed`;
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `why --json` and `free --json` print; a test names the fields that it looks at. */
// biome-ignore lint/suspicious/noExplicitAny: the fields are checked by the test of the documents
export type Document = any;

export interface Options {
  /** Added to a small environment; a name that is null is left out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly cwd?: string;
}

/** A running place, and how things are run inside. */
export class World implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'rebind-engine-'));
  /** The first process inside, as the outside numbers it. */
  readonly init: number;
  readonly #keeper: ChildProcess;
  readonly #started: ChildProcess[] = [];

  constructor(keeper: ChildProcess, init: number) {
    this.#keeper = keeper;
    this.init = init;
  }

  /** Runs a program inside, to its end. */
  async run(words: readonly string[], options: Options = {}): Promise<Result> {
    const child = this.#spawn(words, options);
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, stdout, stderr };
  }

  /** The same, and it must succeed. */
  async must(words: readonly string[], options: Options = {}): Promise<string> {
    const { status, stdout, stderr } = await this.run(words, options);
    assert.equal(status, 0, `${words.join(' ')}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** Starts a program inside that ends with this world. */
  start(words: readonly string[], options: Options = {}): ChildProcess {
    const child = this.#spawn(words, options);
    this.#started.push(child);
    child.stdout?.resume();
    child.stderr?.resume();
    return child;
  }

  /** The answer of the command, as JSON. */
  async rebind(
    words: readonly string[],
    options: Options = {},
  ): Promise<{ readonly status: number | null; readonly json: Document; readonly text: string }> {
    const { status, stdout, stderr } = await this.run([process.execPath, command, ...words, '--json'], options);
    try {
      return { status, json: JSON.parse(stdout), text: stdout };
    } catch {
      throw new Error(`rebind ${words.join(' ')} printed no JSON: ${stdout}${stderr}`);
    }
  }

  /** Until a program succeeds, half a minute at most. */
  async until(words: readonly string[], options: Options = {}): Promise<void> {
    const deadline = performance.now() + 30_000;
    for (;;) {
      const { status, stdout, stderr } = await this.run(words, options);
      if (status === 0) return;
      if (performance.now() > deadline) assert.fail(`${words.join(' ')} never succeeded: ${stderr}${stdout}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Until somebody listens on a port, by the kernel's table. */
  async listens(port: number): Promise<void> {
    await this.until(['sh', '-c', `ss -Htln 'sport = :${port}' | grep -q .`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its first process takes everything inside along (pid_namespaces(7)); all of it is this test's own.
    const ended =
      this.#keeper.exitCode === null && this.#keeper.signalCode === null ? once(this.#keeper, 'exit') : null;
    if (ended !== null) process.kill(this.init, 'SIGKILL');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(words: readonly string[], { env, uid, cwd }: Options): ChildProcess {
    const user = uid === undefined ? [] : [`--setuid=${uid}`, `--setgid=${uid}`];
    const enter = [
      '--target',
      `${this.init}`,
      '--mount',
      '--uts',
      '--ipc',
      '--net',
      '--pid',
      '--cgroup',
      `--wdns=${cwd ?? this.folder}`,
      ...user,
    ];
    const base = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', NO_COLOR: '1' };
    return spawn(findProgram('nsenter') ?? 'nsenter', [...enter, '--', ...words], {
      env: { ...base, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

/** A world on this machine's files, with loopback up and a /run of its own. */
export async function openWorld(): Promise<World> {
  // podman keeps its containers below /var/lib/containers: those of the machine are out of reach in here.
  const script = [
    'ip link set lo up',
    'mount -t tmpfs -o mode=755 none /run',
    '{ [ ! -d /var/lib/containers ] || mount -t tmpfs none /var/lib/containers; }',
    'echo ready',
    'exec sleep infinity',
  ].join(' && ');
  const keeper = spawn('unshare', ['-pfnimC', '--kill-child', '--mount-proc', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await printed(keeper, 'ready');
  return new World(keeper, childOf(keeper.pid ?? 0));
}

/**
 * A booted systemd on this machine's /usr, which it cannot change, with an empty rest: nothing has to be installed for it, and none of the
 * machine's own services are enabled in it.
 *
 * @param units Files of /etc/systemd/system, by their names.
 */
export async function bootSystemd(units: Readonly<Record<string, string>>): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-units-'));
  const target = '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n';
  const runtime = '[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n';
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'user@.service.d'));
  for (const [name, text] of Object.entries({
    ...units,
    'engine-test.target': target,
    'user@.service.d/runtime.conf': runtime,
  }))
    writeFileSync(join(folder, name), text);
  // A user's manager needs a session of PAM (user@.service), and nobody logs in here.
  mkdirSync(join(folder, 'pam.d'));
  for (const name of ['systemd-user', 'other'])
    writeFileSync(
      join(folder, 'pam.d', name),
      ['auth', 'account', 'session'].map((kind) => `${kind} required pam_permit.so\n`).join(''),
    );
  const shared = [checkout, process.execPath].flatMap((path) =>
    path.startsWith('/usr/') ? [] : [`--bind-ro=${path}`],
  );
  const nspawn = [
    '--quiet',
    '--directory=/',
    '--volatile=yes',
    '--private-network',
    '--register=no',
    '--keep-unit',
    '--boot',
    `--machine=rebind-engine-${process.pid}`,
  ];
  const keeper = spawn(
    'systemd-nspawn',
    [
      ...nspawn,
      `--bind-ro=${folder}:/etc/systemd/system`,
      `--bind-ro=${folder}/pam.d:/etc/pam.d`,
      ...shared,
      'systemd.unit=engine-test.target',
      'systemd.condition-first-boot=no',
      'systemd.show-status=yes',
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  try {
    await printed(keeper, 'Reached target');
    const world = new World(keeper, childOf(keeper.pid ?? 0));
    mkdirSync(world.folder, { recursive: true });
    await world.until(['systemctl', 'is-active', '--quiet', 'engine-test.target'], { cwd: '/' });
    await world.must(['mkdir', '-p', world.folder], { cwd: '/' });
    return world;
  } finally {
    keeper.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  }
}

/** Until a child prints a text; rejects when it exits without. */
async function printed(child: ChildProcess, text: string): Promise<void> {
  let all = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      all += part;
      if (all.includes(text)) resolve();
    });
    child.once('exit', (status) => reject(new Error(`it exited with ${status}: ${all}`)));
    child.once('error', reject);
  });
}

function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return Number(children[0]);
}
