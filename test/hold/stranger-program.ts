/**
 * Another user of the machine, who attacks a hold: one word an argument, one line of JSON an answer. It is started as root, to load what it
 * needs, and gives root up before it does anything.
 */
import { readdirSync, readFileSync, readlinkSync, statSync, writeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Passed } from '../../src/hold/wire/passed.ts';
import { isNativeError } from '../../src/os/errors.ts';
import { os } from '../../src/os/index.ts';
import { setNative } from '../../src/os/linux/calls/socket.ts';

const nobody = 65_534;
const [attack = '', ...words] = process.argv.slice(2);
const { sockets } = os();
// The library is loaded now: its file may be where a stranger cannot look.
sockets.close(sockets.open('unix', 4));

const say = (value: unknown): void => void writeSync(1, `${attack} ${JSON.stringify(value)}\n`);
const passed = (): Passed => JSON.parse(process.env['REBIND_HOLD'] ?? '{}');
const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** The way to hold that a program inherits: a reference (O_PATH) to its control socket. */
function inherited(pid: number | 'self' = 'self', reference = passed().reference): string {
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${fd}`;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && `${stat.dev}:${stat.ino}` === reference) return path;
  }
  throw new Error('no reference to the control socket');
}

/** What became of a connection that sends this: what was answered, and whether it was closed. */
async function visit(path: string, text: string, patienceMs = 3_000): Promise<{ answer: string; closed: boolean }> {
  const socket = connect(path);
  let answer = '';
  const answered = new Promise<boolean>((resolve) => {
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
      resolve(false);
    });
  });
  socket.on('error', () => {});
  const closed = new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)));
  socket.write(text);
  const outcome = await Promise.race([closed, answered, sleep(patienceMs, false)]);
  socket.destroy();
  return { answer, closed: outcome };
}

/** A TCP connection whose close blocks for a minute: what it has to send is not taken (SO_LINGER, socket(7)). */
async function lingering(): Promise<number> {
  const far = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => far.listen(0, '127.0.0.1', () => resolve()));
  const fd = sockets.open('tcp', 4);
  sockets.connect(fd, { protocol: 'tcp', address: '127.0.0.1', port: (far.address() as { port: number }).port });
  await sleep(100);
  for (let full = false; !full; ) {
    try {
      sockets.sendDescriptors(fd, [], Buffer.alloc(65_536));
    } catch (error) {
      if (!isNativeError(error)) throw error;
      full = true;
    }
  }
  const linger = Buffer.alloc(8);
  linger.writeInt32LE(1, 0);
  linger.writeInt32LE(60, 4);
  setNative(fd, { level: 1, name: 13 }, linger);
  return fd;
}

/** Sends one datagram; the code when that is refused. */
function send(path: string, text: string, descriptors: readonly number[] = []): string {
  const fd = sockets.open('unix-datagram', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path });
    sockets.sendDescriptors(fd, descriptors, Buffer.from(text));
    return 'sent';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    sockets.close(fd);
  }
}

/** Those that are still open after a while. @param text What each says. */
async function flood(text = ''): Promise<Set<Socket>> {
  const path = inherited();
  const open = new Set<Socket>();
  const all = Array.from({ length: Number(words[0]) }, () => {
    const socket = connect(path);
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
    if (text !== '') socket.write(text);
    return new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  });
  await Promise.all(all);
  await sleep(1_000);
  return open;
}

const attacks: Readonly<Record<string, () => Promise<unknown>>> = {
  /** Every name of these processes (the first word) that the kernel shows to everybody, and the paths that follow. */
  async names() {
    const [pids = '', ...paths] = words;
    const shown =
      readFileSync('/proc/net/unix', 'utf8').match(new RegExp(`\\S*rebind\\S*-(${pids})-\\S*$`, 'gm')) ?? [];
    const outcomes: Record<string, string> = {};
    for (const path of new Set([...shown, ...paths])) {
      for (const kind of ['unix', 'unix-datagram'] as const) {
        const fd = sockets.open(kind, 4);
        try {
          sockets.connect(fd, { protocol: 'unix', path: path.startsWith('@') ? `\0${path.slice(1)}` : path });
          outcomes[path] = 'connected';
        } catch (error) {
          outcomes[path] ??= (error as NodeJS.ErrnoException).code ?? String(error);
        } finally {
          sockets.close(fd);
        }
      }
    }
    return outcomes;
  },

  /** Through the descriptor of a program of the same user, with everything that its environment tells. */
  async throughProgram() {
    const pid = Number(words[0]);
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    const variableOf = (name: string): string =>
      variables.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    const { token, generation, reference } = JSON.parse(variableOf('REBIND_HOLD')) as Passed;
    const path = inherited(pid, reference);
    const hello = { kind: 'hello', token, pid, parent: 1, thread: 0, generation, title: 'x' };
    const visits = [];
    for (const text of [
      'null\n',
      line({ kind: 'status' }),
      line({ kind: 'stop' }),
      line(hello) + line({ kind: 'ready' }),
    ])
      visits.push(await visit(path, text));
    const notify = variableOf('NOTIFY_SOCKET');
    const forged = ['READY=1', 'STOPPING=1', `MAINPID=${process.pid}`, 'WATCHDOG=trigger', 'READY=1\nFDSTORE=1'].map(
      (text) => send(notify, text),
    );
    return { visits, forged, lingering: send(notify, 'READY=1', [await lingering()]) };
  },

  /** Below hold, as a user that it became: everything that is no message. */
  async nonsense() {
    const path = inherited();
    const { token, generation } = passed();
    const hello = { kind: 'hello', token, pid: 1, parent: 0, thread: 0, generation, title: 'x' };
    const texts: Readonly<Record<string, string>> = {
      null: 'null\n',
      'no JSON': 'x\n',
      deep: `${'['.repeat(100_000)}\n`,
      prototype: '{"__proto__":{"kind":"status"}}\n',
      'no such kind': line({ kind: 'toString' }),
      huge: 'x'.repeat(200_000),
      status: line({ kind: 'status' }),
      restart: line({ kind: 'restart' }),
      stop: line({ kind: 'stop' }),
      'wrong token': line({ ...hello, token: 'x'.repeat(token.length) }),
      'another generation': line({ ...hello, generation: 77 }),
      'two hellos': line(hello) + line(hello),
      'status after hello': line(hello) + line({ kind: 'status' }),
    };
    const outcomes: Record<string, unknown> = {};
    for (const [name, text] of Object.entries(texts)) outcomes[name] = await visit(path, text);
    return outcomes;
  },

  /** As many connections as it can, which say nothing. */
  async flood() {
    const open = await flood();
    for (const socket of open) socket.destroy();
    return open.size;
  },

  /** As many connections as it can, each with a line that does not end. */
  async unfinished() {
    const open = await flood('x'.repeat(100_000));
    const { size } = open;
    for (const socket of open) socket.destroy();
    return size;
  },

  /** Asks for its socket, and is gone before the answer. */
  async gone() {
    const path = inherited();
    const [socket] = passed().sockets;
    for (let i = 0; i < 20; i++) {
      const fd = sockets.open('unix', 4);
      sockets.connect(fd, { protocol: 'unix', path });
      const give = { kind: 'give', token: passed().token, identity: socket?.identity, host: null, v6Only: false };
      sockets.sendDescriptors(fd, [], Buffer.from(line(give)));
      sockets.close(fd);
    }
    return 'asked';
  },

  /** Has hold open one address of a bare port after the other. */
  async addresses() {
    const path = inherited();
    const { token, sockets: held } = passed();
    const answers = [];
    for (let i = 1; i <= Number(words[0]); i++) {
      const give = { kind: 'give', token, identity: held[0]?.identity, host: `127.0.7.${i}`, v6Only: false };
      answers.push((await visit(path, line(give))).answer);
    }
    return { given: answers.filter((answer) => answer.includes('"socket"')).length, last: answers.at(-1) };
  },

  /** Asks for what hold learned from a process of root, which is what its own bind would ask for: `words` are host and port. */
  async find() {
    const { token, generation } = passed();
    const [host = '', port] = words;
    const ask = (of: number): Promise<unknown> =>
      visit(inherited(), line({ kind: 'find', token, generation: of, host, port: Number(port) }));
    return [await ask(generation), await ask(generation + 1)];
  },

  /** Says that the port of another process is its own; `words` are that process, its descriptor, and what fstat shows of it. */
  async steal() {
    const path = inherited();
    const { token, generation } = passed();
    const [pid, descriptor, identity = '', port] = words;
    const hello = { kind: 'hello', token, pid: Number(pid), parent: 1, thread: 0, generation, title: 'x' };
    const endpoint = { protocol: 'tcp', address: '127.0.0.1', port: Number(port) };
    const asked = { host: '127.0.0.1', port: Number(port) };
    // Its own copy of that socket, which root opened, and the number that it has in the other process.
    const own = readdirSync('/proc/self/fd').find((fd) => readlinkOf(fd) === `socket:[${identity.split(':')[1]}]`);
    for (const number of [Number(own ?? -1), Number(descriptor)]) {
      if (number < 0) continue;
      const socket = connect(path);
      socket.on('error', () => {});
      socket.write(line(hello) + line({ kind: 'unmanaged', endpoint, asked, descriptor: number, identity }));
    }
    await sleep(500);
    return { own: own !== undefined };
  },

  /** Takes the names by which generation 2 of a hold would say who serves, until its stdin ends. */
  async squat() {
    const shown =
      readFileSync('/proc/net/unix', 'utf8').match(new RegExp(`@rebind-claim/${words[0]}/\\S*$`, 'gm')) ?? [];
    const names = shown.map((name) =>
      name
        .replace(/@+$/, '')
        .replace('@', '\0')
        .replace(/\/1\/(\d+:\d+)$/, '/2/$1'),
    );
    const all = new Set(names.flatMap((name) => [name, name.padEnd(108, '\0')]));
    for (const path of all) sockets.bind(sockets.open('unix', 4), { protocol: 'unix', path });
    writeSync(1, `squat ${all.size}\n`);
    for await (const _ of process.stdin);
  },

  /** A descriptor whose close blocks, to the control socket. */
  async linger() {
    const fd = sockets.open('unix', 4);
    sockets.connect(fd, { protocol: 'unix', path: inherited() });
    try {
      sockets.sendDescriptors(fd, [await lingering()], Buffer.from('x'));
      return 'sent';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  },
};

function readlinkOf(fd: string): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The directory itself, closed by now.
    return null;
  }
}

if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(nobody);
  process.setuid?.(nobody);
}
say(await attacks[attack]?.());
// The kernel does not wait for what lingers when a process exits.
if (process.env['REBIND_HOLD'] === undefined || attack === 'find') process.exit();
// Serves: what it did must not be over before it was judged.
const held = createServer((socket) => socket.end('held'));
held.listen(Number(process.env['PORT']), process.env['HOST']);
if (attack === 'flood' && passed().generation === 1) {
  await sleep(500);
  writeSync(1, `again ${(await flood()).size}\n`);
}
