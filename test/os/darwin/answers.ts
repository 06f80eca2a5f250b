/**
 * Situations on a Mac that is made up, one or more for each cause of that system, and what the command answers. test/pins/macos.txt has the
 * texts as they are read; `npm run docs` writes it.
 */
import assert from 'node:assert/strict';
import type { Io } from '../../../src/cli/io.ts';
import { readLine, run } from '../../../src/cli/run.ts';
import { useOs } from '../../../src/os/index.ts';
import { FakeMac, type FakeOptions, type FakeProcess } from './fake-mac.ts';

export interface Situation {
  readonly title: string;
  /** The verdict's cause; null when nothing is worth saying. */
  readonly cause: string | null;
  readonly words: readonly string[];
  readonly code: number;
  readonly mac?: FakeOptions;
  make(mac: FakeMac): void;
}

const terminal = 0x1000002;

function shop(mac: FakeMac, over: Partial<FakeProcess> = {}): FakeProcess {
  return mac.process({
    pid: 4_242,
    parent: 400,
    command: 'node',
    path: '/usr/local/bin/node',
    argv: ['node', 'server.js'],
    terminal,
    ...over,
  });
}

function controlCenter(mac: FakeMac): void {
  const path = '/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter';
  const one = mac.process({ pid: 611, command: 'ControlCenter', path, argv: [path], cwd: '/' });
  for (const port of [5_000, 7_000]) {
    mac.socket(one, { at: '0.0.0.0', port });
    mac.socket(one, { at: '::', port, v6Only: true });
  }
}

export const situations: readonly Situation[] = [
  {
    title: 'a server of yours has the port',
    cause: 'other-listener',
    words: ['3000'],
    code: 1,
    make: (mac) => void mac.socket(shop(mac), { at: '::', port: 3_000 }),
  },
  {
    title: 'it would start, and clients of 127.0.0.1 would reach another program',
    cause: 'shadowed',
    words: ['0.0.0.0:3000'],
    code: 0,
    make: (mac) => void mac.socket(shop(mac), { at: '127.0.0.1', port: 3_000 }),
  },
  {
    title: 'it would start on ::, and everybody who comes over IPv4 would reach another program',
    cause: 'shadowed',
    words: ['3000'],
    code: 0,
    make: (mac) => void mac.socket(shop(mac), { at: '0.0.0.0', port: 3_000 }),
  },
  {
    title: 'it would take the clients of this machine from another program',
    cause: 'shadowed',
    words: ['127.0.0.1:3000'],
    code: 0,
    make: (mac) => void mac.socket(shop(mac), { at: '::', port: 3_000 }),
  },
  {
    title: 'localhost would be two programs',
    cause: 'shadowed',
    words: ['127.0.0.1:3000'],
    code: 0,
    make: (mac) => void mac.socket(shop(mac), { at: '::1', port: 3_000 }),
  },
  {
    title: 'a server of root has another address of the port',
    cause: 'other-user',
    words: ['127.0.0.1:3000'],
    code: 1,
    make: (mac) =>
      void mac.socket(shop(mac, { uid: 0, command: 'nginx', path: '/opt/homebrew/bin/nginx', argv: ['nginx'] }), {
        at: '0.0.0.0',
        port: 3_000,
        lastPid: 4_242,
      }),
  },
  {
    title: 'what a server of root left behind',
    cause: 'other-user',
    words: ['127.0.0.1:3000'],
    code: 1,
    make: (mac) =>
      void mac.socket(null, { at: '127.0.0.1', port: 3_000, from: '127.0.0.1:50000', state: 'TIME_WAIT', uid: 0 }),
  },
  {
    title: 'TIME_WAIT of your own server, and an option that is missing',
    cause: 'time-wait',
    words: ['--no-reuse-address', '127.0.0.1:3000'],
    code: 1,
    make: (mac) => void mac.socket(null, { at: '127.0.0.1', port: 3_000, from: '127.0.0.1:50000', state: 'TIME_WAIT' }),
  },
  { title: 'AirPlay Receiver', cause: 'airplay-receiver', words: ['5000'], code: 1, make: controlCenter },
  {
    title: 'AirPlay Receiver leaves 127.0.0.1 to you, and you take its local clients',
    cause: 'shadowed',
    words: ['127.0.0.1:5000'],
    code: 0,
    make: controlCenter,
  },
  {
    title: 'Docker Desktop publishes the port of a container',
    cause: 'container-port',
    words: ['8080'],
    code: 1,
    make: (mac) => {
      const path = '/Applications/Docker.app/Contents/MacOS/com.docker.backend';
      const one = mac.process({ pid: 900, command: 'com.docker.backe', path, argv: [path, 'run'], cwd: '/' });
      mac.socket(one, { at: '::', port: 8_080 });
    },
  },
  {
    title: 'OrbStack publishes the port of a container',
    cause: 'container-port',
    words: ['8080'],
    code: 1,
    make: (mac) => {
      const path = '/Applications/OrbStack.app/Contents/Frameworks/OrbStack Helper.app/Contents/MacOS/OrbStack Helper';
      const one = mac.process({ pid: 901, command: 'OrbStack Helper', path, argv: [path, 'vmgr'], cwd: '/' });
      mac.socket(one, { at: '::', port: 8_080 });
    },
  },
  {
    title: 'Colima forwards the port by ssh',
    cause: 'other-listener',
    words: ['0.0.0.0:8080'],
    code: 1,
    make: (mac) => {
      const argv = ['ssh: /Users/ann/.colima/_lima/colima/ssh.sock [mux]'];
      const one = mac.process({ pid: 902, command: 'ssh', path: '/usr/bin/ssh', argv, cwd: '/' });
      mac.socket(one, { at: '0.0.0.0', port: 8_080 });
    },
  },
  {
    title: 'a job of launchd, which would start it again',
    cause: 'other-listener',
    words: ['3000'],
    code: 1,
    make: (mac) => {
      const environment = ['XPC_SERVICE_NAME=com.example.shop', 'HOME=/Users/ann'];
      mac.socket(shop(mac, { parent: 1, environment, terminal: -1 }), { at: '::', port: 3_000 });
    },
  },
  {
    title: 'launchd itself keeps the socket for a job, seen as root',
    cause: 'socket-unit',
    words: ['2222'],
    code: 1,
    mac: { uid: 0 },
    make: (mac) => {
      const launchd = mac.processes.get(1) ?? assert.fail();
      mac.socket(launchd, { at: '::', port: 2_222 }, 'fileport');
    },
  },
  {
    title: 'launchd keeps the socket, and you cannot see that',
    cause: 'other-listener',
    words: ['2222'],
    code: 1,
    make: (mac) => {
      const launchd = mac.processes.get(1) ?? assert.fail();
      mac.socket(launchd, { at: '::', port: 2_222, lastPid: 1 }, 'fileport');
    },
  },
  {
    title: 'a network extension has the port without a socket',
    cause: 'user-space',
    words: ['50123'],
    code: 1,
    make: (mac) => {
      const path =
        '/Applications/Shield.app/Contents/Library/SystemExtensions/shield.systemextension/Contents/MacOS/shield';
      const one = mac.process({ pid: 950, command: 'shield', path, argv: [path], cwd: '/' });
      mac.socket(
        one,
        { at: '192.0.2.7', port: 50_123, from: '198.51.100.1:443', state: 'ESTABLISHED', userSpace: true },
        'none',
      );
    },
  },
  {
    title: 'a low port on a definite address',
    cause: 'privileged-port',
    words: ['127.0.0.1:80'],
    code: 1,
    make: () => {},
  },
  { title: 'a low port on every address', cause: null, words: ['80'], code: 0, make: () => {} },
  { title: 'port 55555', cause: 'restricted-port', words: ['55555'], code: 1, make: () => {} },
];

/** What the command prints and leaves with, as a text to read and as JSON. */
export async function answerOf({ mac: options, words, make }: Situation): Promise<{
  readonly text: string;
  readonly code: number;
  readonly cause: string | null;
}> {
  const mac = new FakeMac(options);
  mac.process({ pid: 400, parent: 1, command: 'zsh', path: '/bin/zsh', argv: ['-zsh'], terminal });
  make(mac);
  const undo = useOs(mac.os());
  // Managers are asked by programs of the PATH: those of this machine have nothing to say of a Mac.
  const { PATH } = process.env;
  process.env['PATH'] = '/nonexistent';
  try {
    const { verdict } = JSON.parse((await command('why', '--json', ...words)).text) as {
      verdict: { cause: string } | null;
    };
    const { text, code } = await command('why', ...words);
    return { text: `$ rebind why ${words.join(' ')}\n${plain(text)}`, code, cause: verdict?.cause ?? null };
  } finally {
    process.env['PATH'] = PATH;
    undo();
  }
}

async function command(...words: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const stream = { write: (part: string) => (text += part) };
  const signal = new AbortController().signal;
  const now = (): number => Date.now();
  const io: Io = { stdout: stream, stderr: stream, isInteractive: false, env: { HOME: '/Users/ann' }, signal, now };
  return { code: await run(readLine(words), io), text };
}

/** Times and this machine's own numbers, as what they are. */
function plain(text: string): string {
  return text
    .replaceAll(String(process.pid), 'PID')
    .replaceAll(String(process.ppid), 'PPID')
    .replace(/\b\d{1,2}:\d{2}:\d{2}\b/g, 'HH:MM:SS')
    .replace(/started .*? ago/g, 'started … ago')
    .replace(/since [^\n,)]+/g, 'since …');
}
