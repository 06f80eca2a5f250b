/**
 * The command as it is shipped, run as a user runs it.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { documents } from '../../tools/docs/documents.ts';
import { type Schema, violations } from '../../tools/docs/schema.ts';
import { run } from '../hold/command.ts';
import { freePort } from '../hold/harness.ts';
import { isInstalled, main, rebind } from './command-line.ts';

const linux = process.platform === 'linux' ? false : 'reading this system is only implemented on Linux';

/** A server of this process on a port of the kernel's choice. */
async function listening(address: string): Promise<{ readonly port: number } & AsyncDisposable> {
  const server: Server = createServer();
  server.listen(0, address);
  await once(server, 'listening');
  const at = server.address();
  assert(at !== null && typeof at === 'object');
  return { port: at.port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** What differs from run to run, written as what it is. */
function masked(text: string, port: number): string {
  return text
    .replaceAll(String(port), 'PORT')
    .replaceAll(String(process.pid), 'PID')
    .replace(/pid( +)PID, user \S+, since .*/, 'pid$1PID, user USER, since TIME')
    .replace(/^ {5}in +.*/m, '     in     DIRECTORY')
    .replace(/^ {5}(under|unit|by) .*\n/gm, '')
    .replace(/^(\S+ is in use by )[\s\S]*?\n\n/, '$1PROGRAM\n\n')
    .replace(/└─ .*/, '└─ COMMAND')
    .replace(/ +$/gm, '');
}

describe('rebind why', { skip: linux }, () => {
  test('a port that a program listens on', async () => {
    await using server = await listening('127.0.0.1');
    const ran = rebind([`127.0.0.1:${server.port}`]);
    assert.equal(
      masked(ran.stdout, server.port),
      `127.0.0.1:PORT is in use by PROGRAM

  Use another port: node (pid PID) is left alone, because this command runs
  inside it

  tcp 127.0.0.1:PORT  listening
  └─ COMMAND
     pid    PID, user USER, since TIME
     in     DIRECTORY

EADDRINUSE: rebind help other-listener
`,
    );
    assert.equal(ran.stderr, '');
    assert.equal(ran.code, 1);
  });

  test('a port that is free', async () => {
    const server = await listening('127.0.0.1');
    await server[Symbol.asyncDispose]();
    const { code, stdout, stderr } = rebind(['why', `127.0.0.1:${server.port}`]);
    assert.deepEqual(
      { code, stdout, stderr },
      { code: 0, stdout: `127.0.0.1:${server.port} is available\n`, stderr: '' },
    );
  });

  test('--json is one document that fits its schema, blocked or free', async () => {
    await using server = await listening('127.0.0.1');
    for (const [address, bindable] of [
      ['127.0.0.1', false],
      ['127.0.0.2', true],
    ] as const) {
      const { stdout, code } = rebind(['why', `${address}:${server.port}`, '--json']);
      const document = JSON.parse(stdout);
      assert.deepEqual(violations(documents['why'] as Schema, document), []);
      assert.equal(document.bindable, bindable);
      assert.equal(code, bindable ? 0 : 1);
      assert.deepEqual(
        document.blockers.flatMap((blocker: { holders: { pid: number }[] }) => blocker.holders.map(({ pid }) => pid)),
        bindable ? [] : [process.pid],
      );
    }
  });

  test('the options of the planned bind decide', async () => {
    await using server = await listening('0.0.0.0');
    const document = JSON.parse(rebind(['why', `127.0.0.1:${server.port}`, '--json', '--no-reuse-address']).stdout);
    assert.deepEqual(document.options, { reuseAddress: false, reusePort: false, v6Only: false, device: null });
    const udp = JSON.parse(rebind(['why', `udp/127.0.0.1:${server.port}`, '--json']).stdout);
    assert.equal(udp.options.reuseAddress, false);
    assert.equal(udp.bindable, true);
  });

  test('a name with control characters cannot act on the terminal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rebind-\u001b[31mred\u0007-'));
    const program = `require('node:net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port) })`;
    const child = spawn(process.execPath, ['-e', program, '\u001b]0;owned\u0007\nsecond line'], { cwd: folder });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      for (const words of [[], ['--json']]) {
        const { stdout, code } = rebind(['why', `127.0.0.1:${Number(line)}`, ...words]);
        assert.equal(code, 1);
        assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
        assert.match(stdout, words.length === 0 ? /\\x1b\[31mred\\x07/ : /\\u001b\[31mred\\u0007/);
      }
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(folder, { recursive: true });
    }
  });
});

describe('rebind ls', { skip: linux }, () => {
  test('lists what listens and what is only bound, with who has it', async () => {
    await using server = await listening('127.0.0.1');
    const { code, stdout } = rebind(['ls']);
    assert.equal(code, 0);
    const line = stdout.split('\n').find((one) => one.includes(`127.0.0.1:${server.port} `));
    assert.match(line ?? '', new RegExp(`^tcp +127\\.0\\.0\\.1:${server.port} +listening +${process.pid} `));
    const document = JSON.parse(rebind(['ls', '--json']).stdout);
    assert.deepEqual(violations(documents['ls'] as Schema, document), []);
    const ports = document.sockets.map(({ local }: { local: { port: number } }) => local.port);
    assert.deepEqual(
      ports,
      ports.toSorted((a: number, b: number) => a - b),
    );
  });
});

describe('what free and wait print', { skip: linux }, () => {
  test('their documents fit their schemas', async () => {
    await using server = await listening('127.0.0.1');
    const taken = `127.0.0.1:${server.port}`;
    const free = `127.0.0.2:${server.port}`;
    for (const [name, words] of [
      ['free', ['free', taken, '--dry-run']],
      ['free', ['free', free]],
      ['free', ['free', free, taken, '--dry-run']],
      ['wait', ['wait', free]],
      ['wait', ['wait', taken, '--timeout', '10ms']],
      // The server cannot accept while this process waits for the answer.
      ['wait', ['wait', taken, '--for', 'open', '--timeout', '100ms']],
    ] as const) {
      // Not waited for synchronously: a server that does not run is not open.
      await using ran = run([...words, '--json']);
      await ran.ended;
      const document: unknown = JSON.parse(ran.stdout());
      assert.deepEqual(violations(documents[name] as Schema, document), [], `${words.join(' ')}\n${ran.stderr()}`);
    }
  });
});

describe('what hold prints', { skip: linux }, () => {
  test('its documents fit their schemas, before and after restarts that succeed and fail', async () => {
    const port = await freePort();
    const endpoint = `127.0.0.1:${port}`;
    // Serves as generation 1 and 2, and crashes as 3.
    const program = `if (process.env.REBIND_GENERATION > 2) throw new Error('Broken'); require('node:http').createServer().listen(${port}, '127.0.0.1')`;
    const command = ['--', process.execPath, '-e', program];
    const fits = (name: string, words: readonly string[]) => {
      const { code, stdout, stderr } = rebind(['hold', ...words]);
      const document = JSON.parse(stdout);
      assert.deepEqual(violations(documents[name] as Schema, document), [], `${words.join(' ')}\n${stderr}`);
      return [code, document.outcome ?? document.error?.kind];
    };
    assert.deepEqual(fits('error', ['--status', endpoint, '--json']), [1, 'no-hold']);
    assert.deepEqual(fits('error', ['--restart', endpoint, '--json']), [1, 'no-hold']);
    assert.deepEqual(fits('hold-unit', ['--unit', endpoint, '--json', ...command]), [0, undefined]);
    await using held = run(['hold', endpoint, ...command]);
    await held.printed(/\(pid \d+\) is ready/);
    assert.deepEqual(fits('hold-status', ['--status', endpoint, '--json']), [0, undefined]);
    assert.deepEqual(fits('hold-restart', ['--restart', endpoint, '--json']), [0, 'done']);
    assert.deepEqual(fits('hold-restart', ['--restart', endpoint, '--json']), [1, 'refused']);
    assert.deepEqual(fits('hold-status', ['--status', endpoint, '--json']), [0, undefined]);
  });
});

describe('a wrong command line', () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['0'], /a port is a whole number from 1 to 65535$/],
    [['65536'], /a port is a whole number from 1 to 65535$/],
    [['3000-'], /"3000-": expected a range of ports from 1 to 65535, such as 3000-3010$/],
    [['--', '-1'], /^rebind: Cannot read "-1" as an endpoint: a port is a whole number from 1 to 65535$/],
    [['localhost'], /such as localhost:3000$/],
    [['foo://localhost'], /names no port; expected one such as http:\/\/localhost:3000$/],
    [['./app.sock', '--reuse-port'], /"--reuse-port" is for TCP and UDP, and \.\/app\.sock is a Unix socket$/],
    [['127.0.0.1:3000', '--v6-only'], /"--v6-only" is for IPv6, and 127\.0\.0\.1:3000 is an IPv4 address$/],
    [[''], /^rebind: An endpoint is needed/],
    [['abc'], /^rebind: There is no command "abc"/],
    [['why', 'abc'], /Cannot read "abc" as an endpoint: a port is a whole number from 1 to 65535$/],
    [['3000', '--jsn'], /Did you mean "--json"\?$/],
    [['fre', '3000'], /Did you mean "free"\?$/],
    [['wait', '3000', '--timeout', 'soon'], /^rebind: /],
    [['demo', 'time-wiat'], /Did you mean "time-wait"\?$/],
    [['help', 'time-wiat'], /Did you mean "time-wait"\?$/],
  ];
  for (const [words, sentence] of wrong) {
    test(`rebind ${words.map((word) => word || "''").join(' ')} is refused in one sentence`, () => {
      const { code, stdout, stderr } = rebind(words);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /^[^\n]+\n$/);
      assert.match(stderr.trimEnd(), sentence);
    });
  }

  test('with --json it is a document too, and the sentence is still on stderr', () => {
    for (const words of [['why', 'abc', '--json'], ['3000', '--jsn', '--json'], ['--json']]) {
      const { code, stdout, stderr } = rebind(words);
      assert.equal(code, 2);
      const document = JSON.parse(stdout);
      assert.deepEqual(violations(documents['error'] as Schema, document), []);
      assert.equal(document.error.kind, 'usage');
      assert.equal(stderr, `rebind: ${document.error.message}\n`);
    }
  });

  test('neither it nor help loads what makes system calls', () => {
    // Says so on stderr when a native binary is loaded, by whatever way.
    const report = `const { dlopen } = process; process.dlopen = (...args) => { console.error('dlopen', args[1]); dlopen(...args); }`;
    const told = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(report)}` };
    assert.match(rebind(['why', '1'], told).stderr, /dlopen .*koffi/, 'loading is reported');
    for (const words of [
      ['--help'],
      ['why', '--help'],
      ['help', 'free'],
      ['3000', '--jsn'],
      ['why', 'abc'],
      ['--version'],
    ]) {
      const { stderr } = rebind(words, { ...told, NODE_DEBUG: 'module' });
      assert.match(stderr, /MODULE/, 'the modules were not reported');
      assert.doesNotMatch(stderr, /koffi/, words.join(' '));
    }
  });
});

describe('help', () => {
  test('names every command once, on stdout', () => {
    const { code, stdout, stderr } = rebind(['--help']);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    for (const name of ['why', 'free', 'wait', 'ls', 'demo', 'completion', 'help'])
      assert.equal(
        stdout.split('\n').filter((line) => line.startsWith(`  ${name} `) || line === `  ${name}`).length,
        1,
        name,
      );
    assert.doesNotMatch(stdout, /__values/);
    assert.equal(rebind(['help']).stdout, stdout);
    assert.equal(rebind(['why', '--help']).stdout, rebind(['help', 'why']).stdout);
  });

  test('the page of a cause', () => {
    const { code, stdout } = rebind(['help', 'time-wait']);
    assert.equal(code, 0);
    assert.match(stdout, /What you see[\s\S]*Why it happens[\s\S]*What to do now[\s\S]*How to prevent it/);
  });

  test('the version is that of the package', () => {
    assert.match(rebind(['--version']).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('the man page is valid', { skip: isInstalled('man') ? false : 'man is not installed' }, () => {
    const page = fileURLToPath(new URL('../../../man/rebind.1', import.meta.url));
    const { status, stdout, stderr } = spawnSync('man', ['--warnings', '-l', page], {
      encoding: 'utf8',
      env: { ...process.env, MANPAGER: 'cat', MANWIDTH: '80', LC_ALL: 'C.UTF-8' },
    });
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assert.match(stdout, /EXIT STATUS/);
  });
});

describe('the terminal', () => {
  const colour = /\u001b\[/;

  test('a pipe is not coloured, FORCE_COLOR colours it, and NO_COLOR keeps a terminal plain', () => {
    assert.doesNotMatch(rebind(['help']).stdout, colour);
    assert.match(rebind(['help'], { FORCE_COLOR: '1' }).stdout, colour);
    assert.doesNotMatch(rebind(['help'], { NO_COLOR: '1' }).stdout, colour);
    const inTerminal = (env: NodeJS.ProcessEnv) =>
      spawnSync('script', ['-qec', `'${process.execPath}' '${main}' help`, '/dev/null'], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
      }).stdout;
    if (!isInstalled('script')) return;
    assert.match(inTerminal({}), colour);
    assert.doesNotMatch(inTerminal({ NO_COLOR: '1' }), colour);
  });

  test('a reader that has read enough is success', async () => {
    const child = spawn(process.execPath, [main, 'help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    // Closed before anything is written: every write of the command fails with EPIPE.
    child.stdout.destroy();
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    assert.deepEqual({ code, signal, complaint }, { code: 0, signal: null, complaint: '' });
  });

  test('an answer that cannot be written is no answer', { skip: linux }, () => {
    const full = openSync('/dev/full', 'w');
    try {
      const { status, stderr } = spawnSync(process.execPath, [main, 'help'], {
        encoding: 'utf8',
        stdio: ['ignore', full, 'pipe'],
      });
      assert.match(stderr, /^rebind: Cannot write the answer: ENOSPC[^\n]*\n$/);
      assert.equal(status, 3);
    } finally {
      closeSync(full);
    }
  });

  test('on a system that rebind cannot read, it says so', () => {
    const elsewhere = `--import=data:text/javascript,Object.defineProperty(process,'platform',{value:'sunos'})`;
    const { status, stdout, stderr } = spawnSync(process.execPath, [elsewhere, main, 'ls', '--json'], {
      encoding: 'utf8',
    });
    assert.equal(JSON.parse(stdout).error.kind, 'unsupported');
    assert.match(stderr, /^rebind: Cannot list the sockets of this machine on sunos yet/);
    assert.equal(status, 4);
  });

  test('Ctrl-C ends a wait as an interrupted program ends', { skip: linux }, async () => {
    await using server = await listening('127.0.0.1');
    const child = spawn(process.execPath, [main, 'wait', `127.0.0.1:${server.port}`], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    // There is no line to wait for: a wait is silent until it is over, so it is given the time to begin, and any moment is right.
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill('SIGINT');
    const [code, signal] = (await ended) as [number | null, string | null];
    assert.deepEqual({ code, signal }, { code: null, signal: 'SIGINT' });
  });
});

describe('rebind demo', { skip: linux }, () => {
  test('without a name it lists the causes', () => {
    const { code, stdout } = rebind(['demo']);
    assert.equal(code, 0);
    assert.match(stdout, /^time-wait +\S/m);
  });

  test('brings a cause about, explains it, and leaves nothing', () => {
    const { code, stdout, stderr } = rebind(['demo', 'other-listener']);
    assert.equal(code, 0, stderr);
    const [, port = ''] = /\$ rebind why \S*?(\d+)\n/.exec(stdout) ?? [];
    assert.match(stdout, /is in use by node/);
    assert.match(stdout, /rebind help other-listener/);
    assert.equal(rebind(['why', port]).code, 0, 'the staged port is still blocked');
  });

  test('where no automatic port is left, nothing false is said about the kernel', () => {
    const { code, stdout, stderr } = rebind(['demo', 'self-connect']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /is now connected to itself/);
    assert.doesNotMatch(stdout, /without listening could not be told|Linux 6\.8/);
  });
});
