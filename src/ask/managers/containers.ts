/**
 * docker and podman, asked by their own commands, which print the same of a container. What an engine says is compared with what the kernel
 * says: an engine may be on another machine, or in another process namespace, where its numbers mean other processes.
 */
import { isWildcard } from '../../model/address.ts';
import type { Holder, Socket } from '../../model/facts.ts';
import type { Manager } from '../../model/managers.ts';
import { runCommand } from '../command.ts';
import {
  type Ask,
  type Asking,
  askAs,
  complaint,
  confirmed,
  denied,
  type Inquiry,
  isFamily,
  questionMs,
} from './inquiry.ts';

type Engine = 'docker' | 'podman';

/** What matters of `inspect`, after it was checked. */
export interface Inspected {
  readonly id: string;
  readonly name: string;
  /** The first process of the container, 0 when it does not run. */
  readonly pid: number;
  /** podman's monitor, 0 when there is none. */
  readonly monitor: number;
  readonly paused: boolean;
  readonly ports: readonly Published[];
  /** Where other containers share its network: the pod, which is stopped as a whole. */
  readonly pod: string | null;
}

export interface Published {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

const fullId = /^[0-9a-f]{64}$/;
/** Containers of one engine that are looked through for the one that publishes a port. */
const mostContainers = 200;

export const askDocker: Ask = (inquiries, asking) => askEngine('docker', inquiries, asking);
export const askPodman: Ask = (inquiries, asking) => askEngine('podman', inquiries, asking);

/** Each engine is asked once for all of them, whichever of its containers they are about. */
async function askEngine(engine: Engine, inquiries: readonly Inquiry[], asking: Asking): Promise<readonly Manager[]> {
  const known = new Map<number | null, Promise<Known>>();
  const reach = inquiries.map((inquiry) => reachOf(engine, inquiry.holder, asking));
  return Promise.all(
    inquiries.map(async ({ holder, manager, sockets }, index) => {
      const uid = reach[index];
      if (uid === undefined)
        return denied(manager, `it is the ${engine} of another user, and only that user can run this`);
      const mine = inquiries.filter((_each, other) => reach[other] === uid);
      const answer = known.get(uid) ?? inspectAll(engine, uid, mine, asking);
      known.set(uid, answer);
      const { containers, problem } = await answer;
      const right = containers.find((each) =>
        manager.part === null ? runsIn(each, holder, asking) : holdsFor(each, holder, sockets, asking),
      );
      if (right !== undefined)
        return confirmed(manager, { name: right.name, paused: right.paused, order: orderOf(engine, right, uid) });
      if (problem !== null) return denied(manager, `${engine} could not be asked: ${problem}`);
      if (manager.part !== null) return denied(manager, `${engine} lists no container that publishes it`);
      const same = containers.some(({ id }) => id === holder.container?.id);
      return denied(
        manager,
        same ? `${engine} says that other processes run in it` : `${engine} knows no such container`,
      );
    }),
  );
}

interface Known {
  readonly containers: readonly Inspected[];
  readonly problem: string | null;
}

async function inspectAll(
  engine: Engine,
  uid: number | null,
  inquiries: readonly Inquiry[],
  { signal }: Asking,
): Promise<Known> {
  const ask = (args: readonly string[]): ReturnType<typeof runCommand> =>
    runCommand(engine, args, { timeoutMs: questionMs, signal, uid });
  const ids = new Set(
    inquiries.flatMap(({ holder, manager }) => (manager.part === null ? (holder.container?.id ?? []) : [])),
  );
  // Who publishes a port is in no forwarder's name: all that run are looked through.
  if (inquiries.some(({ manager }) => manager.part !== null)) {
    const listed = await ask(['ps', '--quiet', '--no-trunc']);
    if (listed.failure !== null || listed.status !== 0) return { containers: [], problem: complaint(listed) };
    for (const line of listed.stdout.split('\n')) ids.add(line.trim());
  }
  const right = [...ids].filter((id) => fullId.test(id)).slice(0, mostContainers);
  if (right.length === 0) return { containers: [], problem: null };
  const result = await ask(['inspect', '--type', 'container', '--', ...right]);
  const containers = parseInspect(result.stdout);
  // One that is unknown, or gone since, makes it fail, and it prints the others.
  const unknown = /no such (?:container|object)/i.test(result.stderr);
  const problem = result.failure === null && (result.status === 0 || unknown) ? null : complaint(result);
  return { containers, problem };
}

/** The user to ask as, null for ourselves; undefined when nobody may be asked. Docker's engine is one for all users, each user has a podman of their own. */
function reachOf(engine: Engine, holder: Holder, asking: Asking): number | null | undefined {
  if (engine === 'docker') return null;
  const as = askAs(ownerOf(holder, asking), asking.asker);
  return as === 'ourselves' ? null : (as ?? undefined);
}

/** A container's processes may have other users' numbers (user_namespaces(7)); podman's monitor has its user's own. */
function ownerOf(holder: Holder, { os }: Asking): number {
  const monitor = holder.parents.find(({ command }) => command === 'conmon');
  const identity = monitor === undefined ? null : os.processes.identify(monitor.pid);
  return (identity === null ? null : os.readProcess(identity))?.uid ?? holder.uid;
}

/** Its first process is this one or started it, or both were started by the same monitor (`docker exec`). */
function runsIn(container: Inspected, holder: Holder, asking: Asking): boolean {
  if (container.id !== holder.container?.id || !isIn(container, asking)) return false;
  if (isFamily(holder, container.pid)) return true;
  const identity = asking.os.processes.identify(container.pid);
  const monitor = (identity === null ? null : asking.os.readProcess(identity))?.parents[0]?.pid ?? 0;
  return monitor > 1 && isFamily(holder, monitor);
}

/** The holder is the engine or its forwarder: the container publishes exactly this address and port, and runs here. */
function holdsFor(container: Inspected, holder: Holder, sockets: readonly Socket[], asking: Asking): boolean {
  if (!isIn(container, asking)) return false;
  if (holder.command === 'conmon' && container.monitor !== holder.pid) return false;
  return sockets.some(
    (socket) => socket.protocol !== 'unix' && container.ports.some((port) => isAt(port, socket.protocol, socket.local)),
  );
}

function isAt(port: Published, protocol: string, local: { readonly address: string; readonly port: number }): boolean {
  if (port.protocol !== protocol || port.port !== local.port) return false;
  // podman leaves the address out where it publishes on every one.
  return (
    port.address === local.address ||
    (port.address === '' && isWildcard(local.address)) ||
    (isWildcard(port.address) && isWildcard(local.address))
  );
}

/** The kernel has the container's first process in the container's own cgroup: the engine speaks of this machine. */
function isIn({ id, pid }: Inspected, { os }: Asking): boolean {
  const identity = pid > 0 ? os.processes.identify(pid) : null;
  return identity !== null && os.readProcess(identity)?.container?.id === id;
}

function orderOf(engine: Engine, { id, name, pod }: Inspected, uid: number | null): NonNullable<Manager['order']> {
  const [words, target, shown] = pod === null ? [['stop'], id, name] : [['pod', 'stop'], pod, pod.slice(0, 12)];
  return {
    shown: `${engine} ${words.join(' ')} ${shown}`,
    work: { kind: 'command', program: engine, args: [...words, '--', target], uid },
  };
}

/** The containers that `inspect` printed; what is not as it should be is left out. */
export function parseInspect(text: string): Inspected[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return [];
  }
  return Array.isArray(list) ? list.flatMap((each) => inspected(each) ?? []) : [];
}

function inspected(from: unknown): Inspected | null {
  const { Id: id, Name: name, State: state, NetworkSettings: network, Pod: pod, IsInfra: infra } = fields(from);
  if (typeof id !== 'string' || !fullId.test(id) || typeof name !== 'string') return null;
  const { Pid: pid, ConmonPid: monitor, Paused: paused, Status: status } = fields(state);
  const plain = name.replace(/^\//, '');
  return {
    id,
    name: /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(plain) ? plain : id.slice(0, 12),
    pid: numberOf(pid),
    monitor: numberOf(monitor),
    paused: paused === true || status === 'paused',
    ports: Object.entries(fields(fields(network)['Ports'])).flatMap(([inner, list]) => publishedAs(inner, list)),
    pod: infra === true && typeof pod === 'string' && fullId.test(pod) ? pod : null,
  };
}

/** `"80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "8080" }]`, null for a port that is only exposed. */
function publishedAs(inner: string, list: unknown): Published[] {
  const protocol = inner.split('/')[1] ?? '';
  if (!Array.isArray(list)) return [];
  return list.flatMap((each) => {
    const { HostIp: address, HostPort: port } = fields(each);
    return typeof address === 'string' && typeof port === 'string' && /^\d{1,5}$/.test(port) && Number(port) <= 65_535
      ? [{ protocol, address, port: Number(port) }]
      : [];
  });
}

function fields(from: unknown): Record<string, unknown> {
  return typeof from === 'object' && from !== null ? (from as Record<string, unknown>) : {};
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
