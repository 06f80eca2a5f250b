/**
 * Processes as text: in a sentence, and as a card with what is known of them. Everything that came from a process is escaped here.
 */
import { managers } from '../model/managers.ts';
import { programName } from '../model/program.ts';
import { escapeText } from '../model/text.ts';
import type { BlockerHolder, HolderManager } from '../model/verdict.ts';
import type { Canvas } from './io.ts';
import { shellWords, shorten, shortenPath } from './text.ts';
import { ago, clock } from './time.ts';
import { count } from './words.ts';

/** Holders of one group that are shown one by one. */
const holdersShown = 3;

/** Programs that start whatever is typed or configured: they say nothing about what they started. */
const saysNothing =
  /^(sh|bash|dash|zsh|fish|ksh|tmux.*|screen|sudo|su|login|env|systemd|init|launchd|containerd-shim.*|conmon|node|MainThread|catatonit|tini|dumb-init|script|timeout|nice|nohup|setsid|xargs|time|stdbuf|ionice|chrt|taskset|flock|unshare|setpriv|runuser)$/;

/** A process, and those that it forked which hold the same sockets. */
export interface Family {
  readonly holder: BlockerHolder;
  readonly workers: readonly BlockerHolder[];
}

/** Folds the workers of a server under the process that forked them. */
export function families(holders: readonly BlockerHolder[]): Family[] {
  const pids = new Set(holders.map(({ pid }) => pid));
  const topOf = (holder: BlockerHolder): number =>
    holder.parents.reduce((top, { pid }) => (pids.has(pid) ? pid : top), holder.pid);
  const tops = new Map<number, BlockerHolder[]>();
  for (const holder of holders) {
    const top = topOf(holder);
    tops.set(top, [...(tops.get(top) ?? []), holder]);
  }
  return [...tops].flatMap(([top, members]) => {
    const holder = members.find(({ pid }) => pid === top) ?? members[0];
    return holder === undefined ? [] : [{ holder, workers: members.filter((one) => one !== holder) }];
  });
}

/** The container that a process of its engine holds the port for, as its user knows it; null for any other process. */
export function forwardsFor({ manager, container }: BlockerHolder): string | null {
  if (manager === null || container !== null || managers[manager.kind].runs !== 'the container') return null;
  const known = manager.name === null ? '' : ` ${managerName(manager.name)}`;
  return `${manager.kind === 'container' ? '' : `${manager.kind} `}container${known}`;
}

function managerName(name: string): string {
  return escapeText(/^[0-9a-f]{64}$/.test(name) ? name.slice(0, 12) : name);
}

/** `vite (pid 41, ~/shop, started 3 min ago by npm run dev)`. */
export function introduced({ holder, workers }: Family, canvas: Canvas, nowMs: number): string {
  const isHold = holder.manager?.kind === 'hold' && holder.manager.pid === holder.pid;
  const by = isHold ? null : starterOf(holder);
  const container = holder.container === null ? null : containerText(holder);
  const facts = [
    `pid ${holder.pid}`,
    container ?? (holder.cwd === null || holder.cwd === '/' ? null : place(holder.cwd, canvas, 40)),
    workers.length === 0 || isHold ? null : count(workers.length, 'worker'),
    `started ${ago(nowMs - Date.parse(holder.startedAt))}${by === null ? '' : ` by ${by}`}`,
  ];
  const publishes = forwardsFor(holder);
  if (publishes !== null && holder.manager?.confirmed === true)
    return `the ${publishes} (${escapeText(programName(holder))}, pid ${holder.pid}, started ${ago(nowMs - Date.parse(holder.startedAt))})`;
  const told = `(${facts.filter((fact) => fact !== null).join(', ')})`;
  if (!isHold) return `${escapeText(programName(holder))} ${told}`;
  const command = holder.manager?.name ?? null;
  return `rebind hold ${told}${command === null ? '' : `, for ${shorten(escapeText(command), 40, canvas.unicode)}`}`;
}

/** What started it, where that says something: `npm run dev`, `pm2 as shop`, `nginx.service`. */
function starterOf({ parents, unit, manager }: BlockerHolder): string | null {
  // A container stands beside it.
  const known = manager === null || managers[manager.kind].runs === 'the container' ? null : managerText(manager);
  if (known !== null) return known;
  if (unit?.endsWith('.service')) return escapeText(unit);
  const parent = parents.find(({ command, pid }) => pid !== 1 && !saysNothing.test(command));
  return parent === undefined ? null : escapeText(parent.command);
}

function managerText({ kind, name, confirmed }: HolderManager): string {
  const { called, role } = managers[kind];
  const known = name === null ? '' : managerName(name);
  const script = /^(start|test)$/.test(known) ? known : `run ${known}`;
  const isNamed = known !== '' && (kind === 'reloader' || kind === 'runner' || role === 'place') && kind !== 'ssh';
  const what = isNamed
    ? known
    : role === 'script'
      ? `${called}${known === '' ? '' : ` ${script}`}`
      : `${called}${known === '' ? '' : ` ${kind === 'hold' ? 'for' : 'as'} ${known}`}`;
  return confirmed || role === 'script' ? what : `${what}, it seems`;
}

function containerText({ container }: BlockerHolder): string | null {
  if (container === null) return null;
  const runtime = container.runtime === 'unknown' ? '' : `${container.runtime} `;
  return `${runtime}container ${escapeText(container.name ?? container.id.slice(0, 12))}`;
}

/** A directory, with the home directory as `~`. */
function place(path: string, { home, unicode }: Canvas, columns: number): string {
  const inside = home !== undefined && home !== '/' && (path === home || path.startsWith(`${home}/`));
  return shortenPath(escapeText(inside ? `~${path.slice(home.length)}` : path), columns, unicode);
}

/** What hangs below the sockets: each branch is a line and the rows under it. */
export function holderBranches(holders: readonly BlockerHolder[], canvas: Canvas, nowMs: number): string[][] {
  const all = families(holders);
  const branches = all.slice(0, holdersShown).map((family) => card(family, canvas, nowMs));
  const hidden = all.slice(holdersShown).flatMap(({ holder, workers }) => [holder, ...workers]);
  if (hidden.length > 0) branches.push([`and ${hidden.length} more: ${pidList(hidden, canvas)}`]);
  return branches;
}

function pidList(holders: readonly BlockerHolder[], canvas: Canvas): string {
  return `pid ${shorten(holders.map(({ pid }) => pid).join(', '), Math.max(8, canvas.width - 40), canvas.unicode)}`;
}

function card({ holder, workers }: Family, canvas: Canvas, nowMs: number): string[] {
  const command =
    holder.argv.length === 0 ? `[${escapeText(holder.command)}]` : escapeText(shellWords(titleOf(holder.argv)));
  const since = clock(Date.parse(holder.startedAt), nowMs);
  const rows: [string, string][] = [['pid', `${holder.pid}, user ${escapeText(holder.user)}, since ${since}`]];
  if (holder.cwd !== null) rows.push(['in', place(holder.cwd, canvas, canvas.width - 16)]);
  if (holder.parents.length > 0) rows.push(['under', ancestry(holder, canvas)]);
  if (holder.unit !== null) rows.push(['unit', escapeText(holder.unit)]);
  const container = containerText(holder);
  if (container !== null) rows.push(['in', container]);
  if (holder.manager !== null)
    rows.push([
      'by',
      `${managerText(holder.manager)}${holder.manager.pid === null ? '' : ` (pid ${holder.manager.pid})`}`,
    ]);
  if (workers.length > 0) {
    const users = [...new Set(workers.map(({ user }) => escapeText(user)))].join(', ');
    rows.push(['with', `${count(workers.length, 'worker')}: ${pidList(workers, canvas)}, user ${users}`]);
  }
  const labels = Math.max(...rows.map(([label]) => label.length));
  return [
    canvas.paint('strong', shorten(command, canvas.width - 6, canvas.unicode)),
    ...rows.map(([label, text]) => {
      const room = canvas.width - 7 - labels;
      return `${canvas.paint('faint', label.padEnd(labels))}  ${shorten(text, room, canvas.unicode)}`;
    }),
  ];
}

/** The words of a command line. A title that a program set is one text, which no shell has to read. */
function titleOf(argv: readonly string[]): readonly string[] {
  const words = argv.filter((word, index) => word !== '' || argv.slice(index).some((rest) => rest !== ''));
  const [only] = words;
  return words.length === 1 && only?.includes(' ') ? only.split(' ') : words;
}

function ancestry(holder: BlockerHolder, canvas: Canvas): string {
  const arrow = canvas.unicode ? ' ← ' : ' <- ';
  const steps: string[] = [];
  for (const [index, { pid, command }] of holder.parents.entries()) {
    // A shell in a shell in a shell is one step.
    if (holder.parents[index - 1]?.command === command) steps.push(`${steps.pop()}, ${pid}`);
    else steps.push(`${escapeText(command)} ${pid}`);
  }
  return steps.join(arrow);
}

/** Whose a socket is when no process was found. An inode says that a process has it open, even when we could not see which. */
export function ownerless(uid: number, inode: number): string {
  if (inode === 0) return 'no process has it open: the kernel itself keeps it';
  return uid === 0 ? 'held by a process of root, or by the kernel' : `held by a process of uid ${uid}`;
}
