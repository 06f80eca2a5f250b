/**
 * `rebind ls --watch`: the table redrawn in place, with keys; or a stream of JSON lines.
 */
import { managersIn } from '../../ask/managers/ask.ts';
import { formatAddress } from '../../model/address.ts';
import { formatEndpoint } from '../../model/endpoint.ts';
import type { Manager } from '../../model/managers.ts';
import { escapeJson, escapeText } from '../../model/text.ts';
import { os } from '../../os/index.ts';
import { exit } from '../exit.ts';
import { type Canvas, canvas, type Io } from '../io.ts';
import { itself } from '../itself.ts';
import { lsEventDocument } from '../json.ts';
import { canAsk } from '../question.ts';
import { columnsOf, shorten } from '../text.ts';
import { UsageError } from '../usage.ts';
import { count } from '../words.ts';
import { type Filter, filtered, type Listed, type Socket } from './filter.ts';
import { linesOf, type Row, rowsOf } from './table.ts';

const everyMs = 1_000;
/** How long a new row and a gone row stay marked. */
const markedMs = 4_000;

/** A socket as long as it is the same one. */
function keyOf(socket: Socket): string {
  const place = socket.protocol === 'unix' ? socket.path : formatAddress(socket.local.address, socket.local.port);
  return `${socket.protocol} ${place} ${socket.inode}`;
}

/** Reads the sockets; managers are asked again only when the processes have changed. */
function openReader(): () => Promise<Listed> {
  let known = '';
  let managers: ReadonlyMap<number, Manager> = new Map();
  return async () => {
    const inventory = os().readInventory();
    const pids = [...new Set([...inventory.holders.values()].flat().map(({ pid }) => pid))].sort().join(' ');
    if (pids !== known) managers = await managersIn(os(), inventory);
    known = pids;
    return { ...inventory, managers };
  };
}

export async function watch(filter: Filter, json: boolean, io: Io): Promise<number> {
  if (json) return stream(filter, io);
  if (io.stdout.isTTY !== true || !canAsk()) throw new UsageError('--watch needs a terminal; for a program add --json');
  const screen = new Screen(filter, io);
  return screen.run();
}

/** One document a line for every socket that is there, appears or goes away. */
async function stream(filter: Filter, io: Io): Promise<number> {
  const read = openReader();
  let before = new Map<string, Socket>();
  while (!io.signal.aborted) {
    const listed = await read();
    const now = new Map(filtered(listed, filter).map((socket) => [keyOf(socket), socket]));
    const tell = (event: 'added' | 'removed', socket: Socket): void => {
      io.stdout.write(`${escapeJson(JSON.stringify(lsEventDocument(event, socket, listed, io.now())))}\n`);
    };
    for (const [key, socket] of before) if (!now.has(key)) tell('removed', socket);
    for (const [key, socket] of now) if (!before.has(key)) tell('added', socket);
    before = now;
    await pause(io.signal);
  }
  return exit.ok;
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, everyMs);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** A row, and since when it is new or gone. */
interface Shown {
  readonly rows: readonly Row[];
  readonly sinceMs: number;
  readonly goneMs: number | null;
}

class Screen {
  readonly #io: Io;
  readonly #filter: Filter;
  readonly #read = openReader();
  #shown = new Map<string, Shown>();
  #isFirst = true;
  /** What is typed after `/`; null while nothing is. */
  #typing: string | null = null;
  #word = '';
  #selected = 0;
  #message = '';
  #isBusy = false;
  /** Another command has the terminal, or waits for the key that ends its answer. */
  #isAway = false;
  #end: (() => void) | null = null;

  constructor(filter: Filter, io: Io) {
    this.#filter = filter;
    this.#io = io;
  }

  async run(): Promise<number> {
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    const stop = (): void => this.#end?.();
    this.#io.signal.addEventListener('abort', stop, { once: true });
    // What is typed fast, or pasted, arrives together.
    const onKey = (bytes: Buffer): void => {
      for (const [key] of bytes.toString().matchAll(/\x1b\[[A-Z]|[\s\S]/gu)) void this.#key(key);
    };
    const redraw = (): void => this.#draw();
    this.#enter();
    process.stdin.on('data', onKey);
    process.stdout.on('resize', redraw);
    await this.#refresh();
    const timer = setInterval(() => void this.#refresh(), everyMs);
    try {
      await ended;
      return exit.ok;
    } finally {
      clearInterval(timer);
      process.stdin.off('data', onKey);
      process.stdout.off('resize', redraw);
      this.#leave();
    }
  }

  /** The alternate screen, without a cursor, and keys as they are pressed. */
  #enter(): void {
    process.stdin.setRawMode(true);
    process.stdin.resume();
    this.#io.stdout.write('\x1b[?1049h\x1b[?25l');
  }

  #leave(): void {
    this.#io.stdout.write('\x1b[?25h\x1b[?1049l');
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }

  async #refresh(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const listed = await this.#read();
      const nowMs = this.#io.now();
      const words = this.#word === '' ? this.#filter.words : [this.#word.toLowerCase()];
      const protocols = this.#word === '' ? this.#filter.protocols : new Set(['tcp', 'udp', 'unix'] as const);
      const sockets = filtered(listed, { ...this.#filter, words, protocols });
      const next = new Map<string, Shown>();
      for (const socket of sockets) {
        const sinceMs = this.#shown.get(keyOf(socket))?.sinceMs ?? (this.#isFirst ? 0 : nowMs);
        next.set(keyOf(socket), { rows: rowsOf(socket, listed, this.#columns(), nowMs), sinceMs, goneMs: null });
      }
      for (const [key, shown] of this.#shown) {
        const goneMs = shown.goneMs ?? nowMs;
        if (!next.has(key) && nowMs - goneMs < markedMs) next.set(key, { ...shown, goneMs });
      }
      this.#shown = next;
      this.#isFirst = false;
    } finally {
      this.#isBusy = false;
    }
    this.#draw();
  }

  #columns(): number {
    return canvas(this.#io).width - 2;
  }

  #draw(): void {
    const surface = canvas(this.#io);
    const nowMs = this.#io.now();
    const all = [...this.#shown.values()];
    const rows = all.flatMap(({ rows: each }) => each);
    const [heading = '', ...lines] = linesOf(rows, surface, this.#columns());
    const marks = all.flatMap(({ rows: each, sinceMs, goneMs }) =>
      each.map(() => (goneMs !== null ? '-' : nowMs - sinceMs < markedMs ? '+' : ' ')),
    );
    this.#selected = Math.max(0, Math.min(this.#selected, lines.length - 1));
    const room = Math.max(1, (process.stdout.rows ?? 24) - 3);
    const from = Math.max(0, Math.min(this.#selected - (room >> 1), lines.length - room));
    const body = lines
      .slice(from, from + room)
      .map((line, index) => this.#line(line, marks[from + index] ?? ' ', from + index, surface));
    const top = lines.length === 0 ? '  No such port or socket is in use.' : `  ${heading}`;
    const text = [top, ...body, '', shorten(this.#footer(lines.length), surface.width, surface.unicode)];
    this.#io.stdout.write(`\x1b[H${text.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  }

  #line(line: string, mark: string, index: number, surface: Canvas): string {
    const style = mark === '+' ? 'good' : mark === '-' ? 'bad' : null;
    const text = `${mark} ${line}`;
    // Reverse video is readable on every background, and without colour.
    if (index === this.#selected)
      return `\x1b[7m${text}${' '.repeat(Math.max(0, surface.width - columnsOf(text)))}\x1b[27m`;
    return style === null ? text : surface.paint(style, text);
  }

  #footer(rows: number): string {
    if (this.#typing !== null) return `Filter: ${escapeText(this.#typing)}_`;
    if (this.#message !== '') return this.#message;
    const filter = this.#word === '' ? '' : `, filter ${escapeText(this.#word)}`;
    return `${count(rows, 'row')}${filter}.  up/down select  w why  f free  / filter  q quit`;
  }

  async #key(text: string): Promise<void> {
    if (this.#isAway) return;
    this.#message = '';
    if (this.#typing !== null) return this.#type(text);
    if (text === 'q' || text === '\x03') return this.#end?.();
    if (text === '\x1b[A' || text === 'k') this.#selected--;
    else if (text === '\x1b[B' || text === 'j') this.#selected++;
    else if (text === '/') this.#typing = this.#word;
    else if (text === 'w') return this.#ask('why');
    else if (text === 'f') return this.#ask('free');
    this.#draw();
  }

  async #type(text: string): Promise<void> {
    if (text === '\x03') return this.#end?.();
    if (text === '\r' || text === '\n' || text === '\x1b') {
      this.#word = text === '\x1b' ? '' : (this.#typing ?? '');
      this.#typing = null;
      return this.#refresh();
    }
    if (text === '\x7f' || text === '\b') this.#typing = (this.#typing ?? '').slice(0, -1);
    else if (!/[\u0000-\u001f]/.test(text)) this.#typing = (this.#typing ?? '') + text;
    this.#draw();
  }

  /** Runs a command about the selected row on the whole terminal, and comes back at a key. */
  async #ask(command: 'why' | 'free'): Promise<void> {
    const row = [...this.#shown.values()].flatMap(({ rows }) => rows)[this.#selected];
    if (row === undefined) return;
    const { socket } = row;
    const endpoint =
      socket.protocol === 'unix'
        ? formatEndpoint({ protocol: 'unix', path: socket.path })
        : formatEndpoint({ protocol: socket.protocol, address: socket.local.address, port: socket.local.port });
    const device = socket.protocol !== 'unix' && socket.device !== null ? ['--device', socket.device] : [];
    this.#isBusy = true;
    this.#isAway = true;
    this.#leave();
    const { spawn } = process.getBuiltinModule('node:child_process');
    await new Promise<void>((resolve) => {
      const child = spawn(process.execPath, [itself, command, endpoint, ...device], { stdio: 'inherit' });
      child.on('error', () => resolve());
      child.on('close', () => resolve());
    });
    this.#io.stdout.write('\nPress a key to go on.');
    process.stdin.setRawMode(true);
    process.stdin.resume();
    await new Promise<void>((resolve) => {
      process.stdin.once('data', () => resolve());
      this.#io.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#isAway = false;
    this.#isBusy = false;
    // Ended meanwhile: the terminal was given back.
    if (this.#io.signal.aborted) return;
    this.#enter();
    await this.#refresh();
  }
}
