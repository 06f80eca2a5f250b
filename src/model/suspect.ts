/**
 * Who seems to manage a process, told from what the kernel shows of it and its parents. Pure; whether it is true is asked in `ask/managers/`.
 */
import { baseOf, programsOf } from './command-words.ts';
import type { Asker, Container, Holder, ParentProcess } from './facts.ts';
import type { Words } from './manager-signs.ts';
import { type Manager, type ManagerKind, type ManagerPart, managers } from './managers.ts';

/** A process that begins somebody's session: what runs below it was started by a person, not by the service above it. */
const sessionStarters = /^(sshd.*|login|su|sudo|cron|crond|atd|tmux.*|screen|getty|agetty|systemd-logind|dropbear)$/;

/** True for a process above which no service is looked for. */
export function beginsSession({ command }: Pick<ParentProcess, 'command'>): boolean {
  return sessionStarters.test(command);
}

/** What adopts the children of dead processes, beside pid 1 (PR_SET_CHILD_SUBREAPER). */
export const reapers: ReadonlySet<string> = new Set([
  'systemd',
  'init',
  'tini',
  'dumb-init',
  'catatonit',
  'docker-init',
  'conmon',
  'containerd-shim',
]);

type Engine = 'docker' | 'podman' | 'containerd' | 'orbstack' | 'lima';

/** The processes of container engines by the name of their program. An engine, too, may hold a published port (docker's userland-proxy=false). A map, because a process may be called `constructor`. */
const engineParts: ReadonlyMap<string, readonly [Engine, ManagerPart]> = new Map(
  Object.entries<readonly [Engine, ManagerPart]>({
    dockerd: ['docker', 'engine'],
    rootlesskit: ['docker', 'engine'],
    'docker-proxy': ['docker', 'forwarder'],
    conmon: ['podman', 'forwarder'],
    rootlessport: ['podman', 'forwarder'],
    slirp4netns: ['podman', 'forwarder'],
    pasta: ['podman', 'forwarder'],
    'pasta.avx2': ['podman', 'forwarder'],
    passt: ['podman', 'forwarder'],
    'passt.avx2': ['podman', 'forwarder'],
    gvproxy: ['podman', 'forwarder'],
    // Docker Desktop, OrbStack and Lima on macOS.
    'com.docker.backend': ['docker', 'forwarder'],
    'com.docker.vpnkit': ['docker', 'forwarder'],
    vpnkit: ['docker', 'forwarder'],
    'OrbStack Helper': ['orbstack', 'forwarder'],
    OrbStack: ['orbstack', 'engine'],
    limactl: ['lima', 'engine'],
    containerd: ['containerd', 'engine'],
    'containerd-shim': ['containerd', 'engine'],
    'containerd-shim-runc-v2': ['containerd', 'engine'],
  }),
);

/**
 * Which engine a process is a part of. Its program is what the kernel says (`executable`, proc_pid_exe(5)): a name is only text. Where that is
 * hidden, the name has to do.
 */
function enginePart({ command }: Words, executable: string | null): readonly [Engine, ManagerPart] | null {
  const program = executable === null ? null : baseOf(executable.replace(/ \(deleted\)$/, ''));
  // podman and rootlesskit start their helpers as copies of themselves, under other names.
  const name = program === null || program === 'podman' ? command.replace(/-child$/, '') : program;
  // The kernel keeps 15 bytes of a name (TASK_COMM_LEN).
  return engineParts.get(name) ?? (name.startsWith('containerd-shim') ? ['containerd', 'engine'] : null);
}

/** systemd, for the system or for a user. */
export function isSystemd({ pid, command, argv }: Pick<Holder, 'pid' | 'command' | 'argv'>): boolean {
  return command === 'systemd' && (pid === 1 || argv.includes('--user'));
}

/** The first process of macOS. */
export function isLaunchd({ pid, command }: Pick<Holder, 'pid' | 'command'>): boolean {
  return pid === 1 && command === 'launchd';
}

/** Holds sockets for programs that are started when somebody connects (systemd.socket(5), xinetd(8)). */
export function isActivator(one: Pick<Holder, 'pid' | 'command' | 'argv'>): boolean {
  const programs = programsOf(one.argv);
  return (
    isSystemd(one) ||
    isLaunchd(one) ||
    programs.includes('systemd-socket-activate') ||
    managers.inetd.recognise?.(one, programs) === ''
  );
}

/** Why a process is never ended, whatever is asked for; null when it may be. A sentence about "it". */
export function neverEnded(holder: Holder, manager: Manager | null): string | null {
  if (manager?.part === 'forwarder') return 'it holds the port for a container, which would run on without it';
  if (manager?.part === 'engine')
    return `it runs ${manager.kind === 'lima' ? 'a virtual machine' : 'containers'} (${managers[manager.kind].called})`;
  if (manager?.kind === 'airplay') return 'macOS starts it again';
  if (isSystemd(holder))
    return holder.pid === 1 ? 'it runs the whole system' : `it runs every service of user ${holder.user}`;
  for (const kind of ['pm2', 'supervisord', 'inetd'] as const)
    if (recognise(kind, holder) !== null) return `${managers[kind].called} runs several programs`;
  return recognise('hold', holder) === null ? null : 'rebind hold keeps the port open for the program that it runs';
}

/** What raised the question of who manages a process. */
export interface Suspicion {
  readonly kind: ManagerKind;
  readonly name: string | null;
  readonly pid: number | null;
  readonly parent: ParentProcess | null;
  readonly container: Container | null;
  readonly part: ManagerPart | null;
}

/** Who seems to manage a process: the nearest that would start it again, else whatever it was started by. Null when nobody is to be seen. */
export function suspect(holder: Holder, asker: Asker, executable: (pid: number) => string | null): Suspicion | null {
  const none = { name: null, pid: null, parent: null, container: null, part: null } as const;
  if (holder.tracer !== null && holder.tracer !== asker.pid) return { ...none, kind: 'debugger', pid: holder.tracer };
  if (isSystemd(holder) || managers.inetd.recognise?.(holder, programsOf(holder.argv)) === '')
    return { ...none, kind: isSystemd(holder) ? 'systemd' : 'inetd', pid: holder.pid };
  const part = mayBeEngine(holder) ? enginePart(holder, executable(holder.pid)) : null;
  if (part !== null) return { ...none, kind: part[0], part: part[1], pid: part[1] === 'engine' ? holder.pid : null };
  const itself = (['pm2', 'hold'] as const).find((kind) => recognise(kind, holder) !== null);
  if (itself !== undefined) return { ...none, kind: itself, pid: holder.pid, name: recognise(itself, holder) || null };
  if (isAirplay(holder, executable)) return { ...none, kind: 'airplay', name: 'AirPlay Receiver', pid: holder.pid };
  const machine = machineOfLima(holder);
  if (machine !== null) return { ...none, kind: 'lima', name: machine, pid: holder.pid };
  const session = forwardedFor(holder);
  if (session !== null) return { ...none, kind: 'ssh', name: session, pid: holder.pid };
  const above = aboveOf(holder);
  const near = above.find(
    ({ kind, pid }) =>
      managers[kind].role === 'keeper' ||
      // One that the asker runs in as well waits for the asker, and starts nothing again meanwhile.
      (managers[kind].role === 'watcher' && (managers[kind].again === null || !asker.ancestors.includes(pid ?? 0))),
  );
  if (near !== undefined) return { ...none, ...near };
  if (
    holder.unit?.endsWith('.service') &&
    holder.unit !== asker.unit &&
    !hosts.test(holder.unit) &&
    !startedByPerson(holder)
  )
    return { ...none, kind: 'systemd', name: holder.unit };
  if (holder.container !== null) return { ...none, ...engineOf(holder.container), container: holder.container };
  const service = above.find(
    ({ kind, pid }) => managers[kind].role === 'service' && !sharesProgram(holder, pid, asker),
  );
  if (service !== undefined) return { ...none, ...service };
  const inner = holder.parents.find(
    ({ pid, command, argv }) => pid !== 1 && command === 'systemd' && !argv?.includes('--user'),
  );
  if (inner !== undefined) return { ...none, kind: 'systemd', pid: inner.pid };
  const rest = above.find(
    ({ kind, pid }) =>
      managers[kind].role !== 'service' && (managers[kind].role !== 'watcher' || !asker.ancestors.includes(pid ?? 0)),
  );
  return rest === undefined ? null : { ...none, ...rest };
}

/** Both run in one program of the manager: told to stop it, it would stop the asker, too. */
function sharesProgram({ pid, parents }: Holder, manager: number | null, asker: Asker): boolean {
  const at = parents.findIndex((parent) => parent.pid === manager);
  const program = at > 0 ? parents[at - 1]?.pid : pid;
  return at >= 0 && program !== undefined && (program === asker.pid || asker.ancestors.includes(program));
}

/** ControlCenter of macOS, by the file that the kernel names: below /System nobody can put another. */
function isAirplay({ pid, command }: Holder, executable: (pid: number) => string | null): boolean {
  return (
    command === 'ControlCenter' &&
    executable(pid) === '/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter'
  );
}

/** `ssh: /Users/ann/.lima/default/ssh.sock [mux]`: the machine whose ports it forwards; Colima has its machines in `.colima/_lima`. */
function machineOfLima({ command, argv }: Words): string | null {
  if (command !== 'ssh') return null;
  return /^ssh: \/\S*\/(?:\.lima|_lima)\/([^\s/]+)\/ssh\.sock(?: \[mux\])?$/.exec((argv[0] ?? '').trim())?.[1] ?? null;
}

/** Services whose cgroup also holds what other people started from them: stopping one would end far more than a server. */
const hosts =
  /^(user@|sshd?[@.]|crond?\.|atd\.|anacron\.|docker\.|containerd\.|podman\.|getty@|serial-getty@|console-getty\.|gdm|sddm|lightdm|display-manager|gnome-terminal|tmux|screen)/;

function startedByPerson({ parents }: Holder): boolean {
  return parents.some(beginsSession);
}

function engineOf({ id, name, runtime }: Container): Pick<Suspicion, 'kind' | 'name'> {
  const kind =
    runtime === 'docker' || runtime === 'podman'
      ? runtime
      : runtime === 'containerd' || runtime === 'crio'
        ? 'containerd'
        : 'container';
  return { kind, name: name ?? id };
}

/** Cheap: the program of a process is only looked up where its name could be an engine's. */
function mayBeEngine({ command, argv }: Holder): boolean {
  return engineParts.has(command) || engineParts.has(baseOf(argv[0] ?? '')) || command.startsWith('containerd-shim');
}

/** The managers among the parents, nearest first, up to the process that began the session. */
function aboveOf({ parents }: Holder): Pick<Suspicion, 'kind' | 'name' | 'pid' | 'parent'>[] {
  const found: Pick<Suspicion, 'kind' | 'name' | 'pid' | 'parent'>[] = [];
  for (const parent of parents) {
    if (beginsSession(parent)) break;
    const words = { command: parent.command, argv: parent.argv ?? [] };
    const programs = programsOf(words.argv);
    for (const kind of kinds) {
      const name = managers[kind].recognise?.(words, programs) ?? null;
      if (name === null) continue;
      found.push({ kind, name: name || null, pid: parent.pid, parent });
      break;
    }
  }
  return found;
}

const kinds = Object.keys(managers) as ManagerKind[];

function recognise(kind: ManagerKind, { command, argv }: Words): string | null {
  return managers[kind].recognise?.({ command, argv }, programsOf(argv)) ?? null;
}

/**
 * Another worker of the test runner that started the asker: what one of them listens on is no leftover that another may end. A shell, a script or a
 * test that starts two programs is no runner: the second may be meant to take the place of the first.
 */
export function isSibling(
  { pid, parents }: Pick<Holder, 'pid' | 'parents'>,
  asker: Pick<Asker, 'pid' | 'ancestors'>,
): boolean {
  const [parent] = parents;
  return pid !== asker.pid && parent !== undefined && parent.pid === asker.ancestors[0] && isTestRunner(parent);
}

function isTestRunner({ command, argv = [] }: Pick<ParentProcess, 'command' | 'argv'>): boolean {
  const programs = programsOf(argv);
  return (
    (['jest', 'vitest', 'node-test'] as const).some((kind) => recognise(kind, { command, argv }) !== null) ||
    ['mocha', 'ava', 'playwright'].some((name) => programs.includes(name))
  );
}

/** `sshd: ann@pts/0`, `sshd-session: ann@notty`: the user whose session it is. The daemon itself is titled `sshd: /usr/sbin/sshd … [listener] …`. */
function forwardedFor({ command, argv }: Words): string | null {
  if (!/^sshd/.test(command)) return null;
  return /^sshd(?:-session)?: ([^\s@[]+)(?:@\S+)?$/.exec((argv[0] ?? '').trim())?.[1] ?? null;
}
