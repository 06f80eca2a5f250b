/**
 * Blind is not free: where rebind cannot see, it says so. It never calls a taken port free, never says that the kernel holds what it merely
 * did not find, and never replaces the error of the program that it was to help.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { reserve } from '../../src/index.ts';
import { missing } from '../../src/stage/needs.ts';
import type { Refused } from '../../src/stage/seccomp.ts';

const dist = fileURLToPath(new URL('../../../dist/', import.meta.url));
const blindfold = fileURLToPath(new URL('blindfold.js', import.meta.url));
const libraryProgram = fileURLToPath(new URL('library-program.js', import.meta.url));

/** The package where koffi is not installed: nothing above this folder has it. */
const folder = mkdtempSync(join(tmpdir(), 'rebind-blind-'));
const withoutKoffi = join(folder, 'dist/');
cpSync(dist, withoutKoffi, { recursive: true });
after(() => rmSync(folder, { recursive: true }));

const netlink = 16;
const netlinkRefused = (errno: Refused['errno']): Refused => ({ call: 'socket', argument: netlink, errno });

interface Blindness {
  readonly title: string;
  readonly refused?: readonly Refused[];
  readonly koffi?: false;
  /** The exit status of `why`: of a port that somebody listens on, of one that is only bound, of a free one. */
  readonly why: readonly [listened: readonly number[], bound: readonly number[], free: readonly number[]];
  /** What the answer says that it could not see. */
  readonly says: RegExp;
  /** No holder is named. */
  readonly nameless?: true;
}

const blindnesses: readonly Blindness[] = [
  { title: 'without koffi', koffi: false, why: [[1], [1], [0]], says: /ERR_REBIND_UNSUPPORTED/ },
  {
    title: 'where netlink is an unknown family',
    refused: [netlinkRefused('EAFNOSUPPORT')],
    why: [[1], [1], [0]],
    says: /EAFNOSUPPORT/,
  },
  { title: 'where netlink is forbidden', refused: [netlinkRefused('EPERM')], why: [[1], [1], [0]], says: /EPERM/ },
  {
    title: 'where folders cannot be listed',
    refused: [{ call: 'getdents64', errno: 'EPERM' }],
    why: [[1], [1], [0]],
    says: /cannot be seen \((EPERM|EACCES)\)/,
    nameless: true,
  },
  {
    title: 'where no socket can be made for want of descriptors',
    refused: [{ call: 'socket', errno: 'EMFILE' }],
    why: [[1], [3], [3]],
    says: /could not be tried \(EMFILE\)/,
  },
  {
    title: 'where no socket can be made for want of memory',
    refused: [{ call: 'socket', errno: 'ENOMEM' }],
    why: [[1], [3], [3]],
    says: /could not be tried \(ENOMEM\)/,
  },
  {
    title: 'where a bind fails for want of memory',
    refused: [{ call: 'bind', errno: 'ENOBUFS' }],
    // Linux 6.8 and later list what is only bound.
    why: [[1], [1, 3], [3]],
    says: /could not be tried \(ENOBUFS\)/,
  },
  {
    title: 'without koffi, where a bind fails for want of memory',
    koffi: false,
    refused: [{ call: 'bind', errno: 'ENOMEM' }],
    why: [[1], [3], [3]],
    says: /could not be tried \(ENOMEM\)/,
  },
  {
    title: 'without netlink and without a list of folders',
    refused: [netlinkRefused('EPERM'), { call: 'getdents64', errno: 'EPERM' }],
    why: [[1], [1], [0]],
    says: /EPERM/,
    nameless: true,
  },
  {
    title: 'where processes cannot be held',
    refused: [
      { call: 'pidfd_open', errno: 'EPERM' },
      { call: 'pidfd_getfd', errno: 'EPERM' },
    ],
    why: [[1], [1], [0]],
    says: /^/,
  },
];

interface Ran {
  readonly code: number | null;
  readonly text: string;
}

function run(blindness: Blindness, words: readonly string[]): Ran {
  const { refused = [], koffi } = blindness;
  const command = join(koffi === false ? withoutKoffi : dist, 'cli/rebind.cjs');
  const args = [blindfold, JSON.stringify(refused), process.execPath, command, ...words];
  const { NO_COLOR, FORCE_COLOR, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...env, NODE_DISABLE_COMPILE_CACHE: '1' },
    timeout: 60_000,
  });
  // The answer as one line: where it is wrapped says nothing.
  return { code: status, text: `${stdout}${stderr}`.replace(/\s+/g, ' ') };
}

async function scene(): Promise<{ listened: number; bound: number; free: number } & AsyncDisposable> {
  // A process of its own: this one waits for each command, and a listener whose process waits for nothing is not open.
  const script = "const s = require('net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))";
  const server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(server.stdout, 'data')) as [Buffer];
  const [bound, free] = [await reserve({ host: '127.0.0.1', exclusive: true }), await reserve({ host: '127.0.0.1' })];
  free.release();
  return {
    listened: Number(String(line)),
    bound: bound.port,
    free: free.port,
    [Symbol.asyncDispose]: async () => {
      bound.release();
      server.kill('SIGKILL');
      await once(server, 'exit');
    },
  };
}

const noStory = /kernel itself|This is a bug|Unknown system error/;

describe('blind is not free', { skip: missing(['seccomp']) ?? false, concurrency: false }, () => {
  for (const blindness of blindnesses) {
    const { title, why, says, nameless } = blindness;
    test(`why, free, wait and ls ${title}`, async () => {
      await using ports = await scene();
      const all = [ports.listened, ports.bound, ports.free].map((port) => `127.0.0.1:${port}`);
      for (const [index, endpoint] of all.entries()) {
        const isFree = index === 2;
        const expected = why[index] ?? [];
        const answer = run(blindness, ['why', endpoint]);
        const seen = `why ${endpoint} left with ${answer.code}: ${answer.text}`;
        const code = answer.code ?? -1;
        assert.ok(expected.includes(code), seen);
        assert.doesNotMatch(answer.text, noStory, seen);
        if (!isFree) {
          assert.doesNotMatch(answer.text, /^Free/, seen);
          assert.match(answer.text, says, seen);
        }
        if (nameless) assert.doesNotMatch(answer.text, /\(pid \d+\)/, seen);
        const document = JSON.parse(run(blindness, ['why', '--json', endpoint]).text) as { bindable: unknown };
        assert.equal(document.bindable, [true, false, undefined, null][code], seen);
        const freed = run(blindness, ['free', '--dry-run', endpoint]);
        assert.equal(freed.code, code, `free left with ${freed.code}: ${freed.text}`);
        assert.doesNotMatch(freed.text, noStory);
        const waited = run(blindness, ['wait', '--timeout', '1ms', endpoint]);
        assert.equal(waited.code, code, `wait left with ${waited.code}: ${waited.text}`);
      }
      const open = run(blindness, ['wait', '--for', 'open', '--timeout', '1s', all[0] ?? '']);
      assert.equal(open.code, 0, open.text);
      const listed = run(blindness, ['ls']);
      assert.equal(listed.code, 0, listed.text);
      assert.match(listed.text, new RegExp(`:${ports.listened} `));
      assert.doesNotMatch(listed.text, noStory);
    });

    test(`the library and explain ${title}`, async () => {
      await using ports = await scene();
      const { refused = [], koffi } = blindness;
      const index = join(koffi === false ? withoutKoffi : dist, 'index.js');
      const args = [blindfold, JSON.stringify(refused), process.execPath, '--no-warnings', libraryProgram, index];
      const child = spawn(process.execPath, [...args, String(ports.listened)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (chunk) => (text += chunk));
      await once(child, 'close');
      const said = new Map(
        text
          .trim()
          .split('\n')
          .map((line) => {
            const { call, value, error } = JSON.parse(line) as {
              call: string;
              value?: unknown;
              error?: { name: string; code: string; message: string };
            };
            return [call, error === undefined ? value : `${error.name} ${error.code}`] as const;
          }),
      );
      const shortage = refused.find(
        ({ call, argument }) => (call === 'socket' && argument === undefined) || call === 'bind',
      );
      if (shortage === undefined) {
        for (const call of ['listen blocked', 'listen take-over', 'reserve blocked'])
          assert.equal(said.get(call), 'BlockedPortError EADDRINUSE', text);
        for (const call of ['listen next', 'listen free', 'reserve free']) assert.equal(said.get(call), true, text);
        assert.equal(said.get('why'), false, text);
      } else {
        // As Node's own listen: the error of the call that failed, whatever else is known.
        for (const call of ['listen blocked', 'listen free', 'reserve blocked', 'reserve free'])
          assert.match(String(said.get(call)), new RegExp(` ${shortage.errno}$`), text);
      }
      const explained = spawnSync(
        process.execPath,
        [
          ...args.slice(0, 3),
          '--no-warnings',
          '--import',
          join(koffi === false ? withoutKoffi : dist, 'preload/explain.js'),
          '-e',
          `require('net').createServer().on('error', (e) => console.log(e.code)).listen(${ports.listened}, '127.0.0.1')`,
        ],
        { encoding: 'utf8', timeout: 60_000 },
      );
      assert.equal(explained.stdout.trim(), shortage?.errno ?? 'EADDRINUSE', explained.stderr);
    });
  }
});

/** Runs a script in namespaces of its own, where $1 is Node, $2 the command and $3 what follows. */
function inNamespaces(flags: string, script: string, ...words: string[]): Ran {
  const args = [
    flags,
    '--kill-child',
    '--mount-proc',
    'bash',
    '-c',
    script,
    'bash',
    process.execPath,
    join(dist, 'cli/rebind.cjs'),
    ...words,
  ];
  const { status, stdout, stderr } = spawnSync('unshare', args, {
    encoding: 'utf8',
    env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1', NO_COLOR: '1' },
    timeout: 60_000,
  });
  return { code: status, text: `${stdout}${stderr}`.replace(/\s+/g, ' ') };
}

const listener = `"$1" -e 'require("net").createServer().listen(0, "127.0.0.1", function () { console.log(this.address().port) })'`;
const namespaces = spawnSync('unshare', ['-Urpfmn', '--mount-proc', 'true']).status === 0;
const noNamespaces = namespaces ? false : 'this machine does not let an ordinary user make namespaces';

test('without /proc a taken port is blocked and a free one free, and nobody is named', { skip: noNamespaces }, () => {
  const script = (endpoint: string): string => `ip link set lo up; exec 3< <(${listener}); read -r port <&3
    mount -t tmpfs none /proc; "$1" "$2" why ${endpoint}`;
  const taken = inNamespaces('-Urpfmn', script('127.0.0.1:$port'));
  assert.equal(taken.code, 1, taken.text);
  assert.doesNotMatch(taken.text, noStory, taken.text);
  assert.match(taken.text, /Mount the \/proc/, taken.text);
  const bare = inNamespaces('-Urpfmn', script('$port'));
  assert.match(bare.text, /\[::\]:|127\.0\.0\.1:/, bare.text);
  const free = inNamespaces('-Urpfmn', script('127.0.0.1:$((port + 1))'));
  assert.equal(free.code, 0, free.text);
});

test('where /proc hides the processes of others, their listener is no story about the kernel', {
  skip: process.getuid?.() === 0 ? false : 'root mounts /proc with hidepid',
}, () => {
  const script = `ip link set lo up; exec 3< <(${listener}); read -r port <&3
    mount -t proc -o hidepid=invisible proc /proc
    setpriv --reuid=65534 --regid=65534 --clear-groups "$1" "$2" why 127.0.0.1:$port`;
  const { code, text } = inNamespaces('-pfmn', script);
  assert.equal(code, 1, text);
  assert.match(text, /Which process of user root has tcp 127\.0\.0\.1:\d+ open cannot be seen \(EACCES\)/, text);
  assert.doesNotMatch(text, noStory, text);
});

test('a holder that forks and exits in a loop is named, or it is said that it could not be seen', {
  skip: noNamespaces,
}, () => {
  // Each generation makes the next and exits: whichever process is listed is gone when it is looked into.
  const program = `import os, socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5)
print(s.getsockname()[1], flush=True)
end = time.time() + 20
while time.time() < end:
  if os.fork(): os._exit(0)`;
  const script = `ip link set lo up; exec 3< <(exec python3 -c "$3"); read -r port <&3
    for i in 1 2 3 4 5; do "$1" "$2" why 127.0.0.1:$port; echo "status $?"; done; kill -- -$$ 2>/dev/null; true`;
  const { text } = inNamespaces('-Urpfmn', script, program);
  assert.equal(text.match(/status 1/g)?.length, 5, text);
  for (const answer of text.split(/status \d/).slice(0, 5)) {
    assert.doesNotMatch(answer, /kernel itself/, answer);
    assert.match(answer, /python3\b[^(]*\(pid \d+|Which process of user .* cannot be seen \(ESRCH\)/, answer);
  }
});

test('at the limit of descriptors an answer leaves none open, and the error of listen is its own', () => {
  const program = `
    const { openSync, closeSync, readdirSync, readlinkSync } = require('node:fs');
    const open = () => readdirSync('/proc/self/fd').filter((fd) => { try { return !readlinkSync('/proc/self/fd/' + fd).includes('/null'); } catch { return false; } }).length;
    (async () => {
      const { listen, why } = await import(process.argv[1]);
      const blocker = require('node:net').createServer().listen(0, '127.0.0.1');
      await new Promise((done) => blocker.once('listening', done));
      const { port } = blocker.address();
      const ask = async () => [
        await listen(require('node:http').createServer(), { port, host: '127.0.0.1' }).catch((error) => error.code),
        await why({ port, host: '127.0.0.1' }).then((report) => report.bindable, (error) => error.code),
      ];
      await ask();
      const before = open();
      const seen = new Set();
      for (const left of [0, 1, 2, 3, 5, 8]) {
        const held = [];
        try { for (;;) held.push(openSync('/dev/null')); } catch {}
        for (const fd of held.splice(0, left)) closeSync(fd);
        for (let i = 0; i < 10; i++) seen.add(JSON.stringify([left, ...await ask()]));
        for (const fd of held) closeSync(fd);
      }
      await new Promise((done) => setTimeout(done, 50));
      console.log(JSON.stringify({ leaked: open() - before, seen: [...seen].map((one) => JSON.parse(one)) }));
      process.exit();
    })();`;
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', 'ulimit -n 96; exec "$0" "$@"', process.execPath, '--no-warnings', '-e', program, join(dist, 'index.js')],
    { encoding: 'utf8', timeout: 60_000 },
  );
  const { leaked, seen } = JSON.parse(stdout || '{}') as { leaked: number; seen: [number, string, boolean | null][] };
  assert.equal(leaked, 0, stderr);
  for (const [left, listened, bindable] of seen) {
    assert.equal(listened, left === 0 ? 'EMFILE' : 'EADDRINUSE', JSON.stringify(seen));
    assert.notEqual(bindable, true, JSON.stringify(seen));
  }
});
