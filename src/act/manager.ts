/**
 * Who would start a holder again: systemd, a container's runtime, pm2. Killing what they run is useless; they are asked instead.
 */
import type { Holder } from '../model/facts.ts';
import type { ActResult, Manager } from '../model/step.ts';
import type { Question } from '../model/verdict.ts';
import type { Os } from '../os/os.ts';
import { findProgram, runCommand } from './command.ts';

/** Asking who runs something must not take long. */
const questionMs = 5_000;

/** A process that begins somebody's session: what runs below it was started by a person, not by the service above it. */
const sessionStarters =
  /^(sshd.*|login|su|sudo|cron|crond|atd|tmux.*|screen|getty|agetty|systemd-logind|dropbear|conmon)$/;

/** Programs that only pass a container's traffic on: the runtime has to be asked which container it is. */
const forwarders = /^(docker-proxy|rootlessport.*|rootlesskit|slirp4netns|pasta.*)$/;

/** The managers of the holders of all blockers, by pid. Runs their programs, but only to ask. */
export async function findManagers(
  os: Os,
  question: Question,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, Manager>> {
  const { facts, blockers } = question;
  const found = new Map<number, Manager>();
  const holders = new Map<number, Holder>();
  for (const { socket } of blockers)
    for (const each of facts.holders.get(socket.inode) ?? []) holders.set(each.pid, each);
  const { endpoint } = question.request;
  const port = endpoint.protocol === 'unix' ? null : endpoint;
  const self = os.processes.identify(facts.asker.pid);
  const asker = self === null ? null : os.readProcess(self);
  for (const holder of holders.values()) {
    const manager =
      (await containerOf(holder, asker, port, signal)) ??
      (await pm2Of(os, holder, signal)) ??
      (await serviceOf(holder, [...holders.keys()], asker, port, signal));
    if (manager !== null) found.set(holder.pid, manager);
  }
  return found;
}

/** Asks a manager to stop what it runs. */
export async function stopManaged(
  manager: Manager,
  graceMs: number,
  signal: AbortSignal | undefined,
): Promise<ActResult> {
  if (manager.command === null) return { outcome: 'refused', why: 'there is nothing to ask it with' };
  // The managers have a grace of their own (90 s for systemd, 10 s for docker), after which they kill.
  const timeoutMs = Math.max(graceMs, 10_000) + 5_000;
  const result = await runCommand(manager.command, { timeoutMs, env: manager.env, signal });
  if (result.failure === null && result.status === 0) return { outcome: 'done', why: null };
  const complaint = result.stderr.trim().split('\n').at(-1) ?? '';
  const why = result.failure ?? (complaint === '' ? `it ended with status ${result.status}` : complaint);
  return { outcome: 'failed', why: `${manager.command[0]}: ${why}` };
}

type Port = { readonly protocol: 'tcp' | 'udp'; readonly port: number } | null;

async function containerOf(
  holder: Holder,
  asker: Holder | null,
  port: Port,
  signal: AbortSignal | undefined,
): Promise<Manager | null> {
  if (holder.container !== null) {
    // Inside of a container its processes are ordinary ones.
    if (asker?.container?.id === holder.container.id) return null;
    const { id, name, runtime } = holder.container;
    const program = runtime === 'docker' || runtime === 'podman' ? runtime : null;
    return container(program ?? 'containerd', id, name);
  }
  if (holder.command === 'conmon') {
    const at = holder.argv.findIndex((arg) => arg === '-c' || arg === '--cid');
    const id = holder.argv[at + 1];
    if (at >= 0 && id !== undefined) return container('podman', id, argument(holder.argv, '-n', '--name'));
  }
  if (forwarders.test(holder.command) && port !== null) return publisher(holder, port, signal);
  return null;
}

function argument(argv: readonly string[], ...names: readonly string[]): string | null {
  const at = argv.findIndex((arg) => names.includes(arg));
  return at < 0 ? null : (argv[at + 1] ?? null);
}

function container(kind: 'docker' | 'podman' | 'containerd', id: string, name: string | null): Manager {
  const program = kind === 'containerd' ? null : findProgram(kind);
  const short = name ?? id.slice(0, 12);
  return { kind, name: short, command: program === null ? null : [kind, 'stop', id], env: {} };
}

/** The container that publishes the port, as its runtime says. */
async function publisher(holder: Holder, port: NonNullable<Port>, signal: AbortSignal | undefined): Promise<Manager> {
  // Docker without root publishes through rootlesskit, podman through rootlessport, slirp4netns or pasta.
  const kind = /^(docker-proxy|rootlesskit)/.test(holder.command) ? 'docker' : 'podman';
  const unknown: Manager = { kind, name: `that publishes port ${port.port}`, command: null, env: {} };
  if (findProgram(kind) === null) return unknown;
  const format = '{{.ID}}\t{{.Names}}\t{{.Ports}}';
  const result = await runCommand([kind, 'ps', '--no-trunc', '--format', format], { timeoutMs: questionMs, signal });
  for (const line of result.stdout.split('\n')) {
    const [id, name, ports] = line.split('\t');
    if (id === undefined || name === undefined || ports === undefined) continue;
    if (publishes(ports, port)) return container(kind, id, name);
  }
  return unknown;
}

/** `0.0.0.0:8080->80/tcp, [::]:9000-9005->9000-9005/udp`. */
export function publishes(ports: string, { protocol, port }: NonNullable<Port>): boolean {
  return ports.split(',').some((entry) => {
    const match = /:(\d+)(?:-(\d+))?->\S*?\/(tcp|udp)/.exec(entry);
    if (match === null || match[3] !== protocol) return false;
    const first = Number(match[1]);
    return port >= first && port <= Number(match[2] ?? first);
  });
}

async function pm2Of(os: Os, holder: Holder, signal: AbortSignal | undefined): Promise<Manager | null> {
  const daemon = holder.parents.find((parent) => parent.command.startsWith('PM2 '));
  if (daemon === undefined || findProgram('pm2') === null) return null;
  const identity = os.processes.identify(daemon.pid);
  const title = identity === null ? undefined : os.readProcess(identity)?.argv[0];
  // Its title is "PM2 v6.0.0: God Daemon (/home/ann/.pm2)".
  const home = /God Daemon \((.+)\)/.exec(title ?? '')?.[1];
  const env: Record<string, string> = home === undefined ? {} : { PM2_HOME: home };
  const result = await runCommand(['pm2', 'jlist'], { timeoutMs: questionMs, env, signal });
  const family = new Set([holder.pid, ...holder.parents.map((parent) => parent.pid)]);
  const application = pm2Applications(result.stdout).find((each) => family.has(each.pid));
  if (application === undefined) return null;
  return { kind: 'pm2', name: application.name, command: ['pm2', 'stop', String(application.id)], env };
}

/** What `pm2 jlist` printed; it may say something before the list. */
export function pm2Applications(text: string): { id: number; name: string; pid: number }[] {
  const start = text.indexOf('[{');
  if (start < 0) return [];
  let list: unknown;
  try {
    list = JSON.parse(text.slice(start, text.lastIndexOf(']') + 1));
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return list.flatMap((each: Record<string, unknown>) => {
    const { pm_id: id, name, pid } = each;
    return typeof id === 'number' && typeof name === 'string' && typeof pid === 'number' ? [{ id, name, pid }] : [];
  });
}

async function serviceOf(
  holder: Holder,
  holders: readonly number[],
  asker: Holder | null,
  port: Port,
  signal: AbortSignal | undefined,
): Promise<Manager | null> {
  if (holder.pid === 1 && holder.command === 'systemd') return socketUnit(port, signal);
  const { unit, userUnit } = holder;
  if (unit === null || !unit.endsWith('.service') || unit === asker?.unit) return null;
  const systemctl = ['systemctl', ...(userUnit ? ['--user'] : [])];
  const name = userUnit ? `${unit} of user ${holder.user}` : unit;
  if (findProgram('systemctl') === null) return null;
  const asked = [...systemctl, 'show', '--property=MainPID,TriggeredBy', '--', unit];
  const result = await runCommand(asked, { timeoutMs: questionMs, signal });
  const main = Number(/^MainPID=(\d+)$/m.exec(result.stdout)?.[1] ?? 0);
  if (!runs(main, holder, holders)) return null;
  // A socket unit would start it again at the next connection.
  const triggers = (/^TriggeredBy=(.*)$/m.exec(result.stdout)?.[1] ?? '')
    .split(' ')
    .filter((each) => each.endsWith('.socket'));
  return { kind: 'systemd', name, command: [...systemctl, 'stop', '--', ...triggers, unit], env: {} };
}

/**
 * A cgroup alone does not say that a service runs a process: without logind, everything that somebody starts over ssh is in ssh.service.
 */
function runs(main: number, holder: Holder, holders: readonly number[]): boolean {
  if (main === 0) return false;
  if (main === holder.pid || holders.includes(main)) return true;
  const at = holder.parents.findIndex((parent) => parent.pid === main);
  return at >= 0 && !holder.parents.slice(0, at + 1).some((parent) => sessionStarters.test(parent.command));
}

/** systemd itself holds the port: which of its socket units is it? */
async function socketUnit(port: Port, signal: AbortSignal | undefined): Promise<Manager | null> {
  if (port === null || findProgram('systemctl') === null) return null;
  const list = ['systemctl', 'list-sockets', '--no-legend', '--no-pager', '--full'];
  const result = await runCommand(list, { timeoutMs: questionMs, signal });
  for (const line of result.stdout.split('\n')) {
    const [listen, unit] = line.trim().split(/\s+/);
    if (listen === undefined || unit === undefined || !unit.endsWith('.socket')) continue;
    if (new RegExp(`(^|:)${port.port}$`).test(listen))
      return { kind: 'systemd', name: unit, command: ['systemctl', 'stop', '--', unit], env: {} };
  }
  return null;
}
