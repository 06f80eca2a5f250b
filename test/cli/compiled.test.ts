/**
 * The compiled code that a run keeps for the next: written once, run only from where nobody else can write, and never needed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodes } from '../hold/harness.ts';
import { isInstalled, main, rebind } from './command-line.ts';

interface Home extends Disposable {
  readonly path: string;
  /** Where the code is kept. */
  readonly folder: string;
  files(): string[];
  /** Asks about a Unix socket that is not there, which answers the same everywhere. */
  ask(env?: NodeJS.ProcessEnv): void;
}

function home(): Home {
  const path = mkdtempSync(join(tmpdir(), 'rebind-home-'));
  const folder = join(path, '.cache/rebind');
  const { XDG_CACHE_HOME, NODE_DISABLE_COMPILE_CACHE, ...env } = process.env;
  return {
    path,
    folder,
    files: () => (existsSync(folder) ? readdirSync(folder) : []),
    ask(more = {}) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'why', join(path, 'app.sock')], {
        encoding: 'utf8',
        env: { ...env, HOME: path, ...more },
      });
      assert.equal(status, 0, stderr);
      assert.match(stdout, / is available\n$/);
      assert.equal(stderr, '');
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  };
}

for (const { name, path } of nodes()) {
  test(`${name}: the first answer keeps compiled code, and the next one runs it`, {
    skip: path === null && 'not installed: npm ci --prefix test/versions',
  }, () => {
    using at = home();
    const env = { ...process.env, HOME: at.path, XDG_CACHE_HOME: '', NODE_DISABLE_COMPILE_CACHE: '' };
    const run = (...words: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(path ?? '', [main, ...words], { encoding: 'utf8', env });
    assert.deepEqual(pick(run('why', join(at.path, 'app.sock'))), { status: 0, stderr: '' });
    const [file = ''] = at.files();
    const before = statSync(join(at.folder, file), { bigint: true });
    assert.equal(before.mode & 0o777n, 0o600n);
    assert.deepEqual(pick(run('why', join(at.path, 'app.sock'))), { status: 0, stderr: '' });
    // What runs from kept code cannot import: a name is looked up in another way.
    const named = run('why', 'localhost:65535');
    assert.equal(named.stderr, '');
    assert.match(named.stdout, /^127\.0\.0\.1:65535 is /);
    // A command that is not in it is loaded beside it, and keeps nothing.
    assert.deepEqual(pick(run('completion', 'bash')), { status: 0, stderr: '' });
    assert.deepEqual(at.files(), [file]);
    // Each keeps what it needs itself.
    for (let i = 0; i < 2; i++)
      assert.deepEqual(pick(run('free', join(at.path, 'app.sock'))), { status: 0, stderr: '' });
    assert.deepEqual(at.files().sort(), [file.replace(/why$/, 'free'), file]);
    const after = statSync(join(at.folder, file), { bigint: true });
    assert.equal(after.mtimeNs, before.mtimeNs, 'it was written again, so it was not accepted');
  });
}

function pick({ status, stderr }: { status: number | null; stderr: string }): object {
  return { status, stderr };
}

test('the first blocked answer keeps the code again, because a free port needs little of it', async () => {
  using at = home();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const env = { HOME: at.path, XDG_CACHE_HOME: '', NODE_DISABLE_COMPILE_CACHE: '' };
  const kept = (): { readonly size: number; readonly ino: number } => {
    const [file = ''] = at.files();
    return statSync(join(at.folder, file));
  };
  try {
    at.ask();
    const first = kept();
    assert.equal(rebind([`127.0.0.1:${port}`], env).code, 1);
    const second = kept();
    assert(second.size > first.size && second.ino !== first.ino, `${first.size} and ${second.size} bytes`);
    // From then on it stays, whatever is asked.
    assert.equal(rebind([`127.0.0.1:${port}`], env).code, 1);
    at.ask();
    assert.equal(kept().ino, second.ino);
  } finally {
    server.close();
  }
});

test('--version loads nothing but the file that is started', () => {
  using at = home();
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  for (const word of ['--version', '-V']) {
    const { code, stdout, stderr } = rebind([word], { HOME: at.path, XDG_CACHE_HOME: '', NODE_DEBUG: 'module' });
    assert.equal(code, 0);
    assert.equal(stdout, `${version}\n`);
    assert.doesNotMatch(stderr, /command\.cjs|main\.js/);
  }
  assert.deepEqual(at.files(), []);
});

test('an answer loads no module of Node that it does not need', () => {
  using at = home();
  const list = join(at.path, 'list.cjs');
  writeFileSync(
    list,
    `process.on('exit', () => require('node:fs').writeFileSync(2, process.moduleLoadList.join('\\n')))`,
  );
  for (const words of [
    ['why', join(at.path, 'app.sock')],
    ['free', join(at.path, 'app.sock')],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, ['--require', list, main, ...words], {
      encoding: 'utf8',
      env: { ...process.env, HOME: at.path, XDG_CACHE_HOME: '' },
    });
    assert.equal(status, 0, stderr);
    const loaded = stderr.split('\n').flatMap((line) => /^NativeModule (\w+)$/.exec(line)?.[1] ?? []);
    for (const name of ['child_process', 'crypto', 'readline', 'zlib', 'stream', 'net', 'dns'])
      assert(!loaded.includes(name), `${words[0]} loads node:${name}`);
  }
});

test('an answer that a pipe cannot take at once is written whole', {
  skip: !isInstalled('python3') && 'needs python3',
}, () => {
  // A pipe that does not block and has little room left.
  const program = `
import fcntl, os, subprocess, sys
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
os.write(w, b'x' * 4000)
child = subprocess.Popen(sys.argv[1:], stdout=w)
os.close(w)
sys.stdout.write(os.fdopen(r).read())
sys.exit(child.wait())`;
  const { status, stdout } = spawnSync('python3', ['-c', program, process.execPath, main, 'help', 'hold'], {
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.equal(stdout.slice(4000), rebind(['help', 'hold']).stdout);
});

test('a help keeps nothing: it does not compile what an answer needs', () => {
  using at = home();
  assert.equal(rebind(['--help'], { HOME: at.path, XDG_CACHE_HOME: '' }).code, 0);
  assert.deepEqual(at.files(), []);
});

test('XDG_CACHE_HOME says where, and NODE_DISABLE_COMPILE_CACHE that nothing is kept', () => {
  using at = home();
  using other = home();
  at.ask({ NODE_DISABLE_COMPILE_CACHE: '1' });
  assert.deepEqual(at.files(), []);
  at.ask({ XDG_CACHE_HOME: other.path });
  assert.deepEqual(at.files(), []);
  assert.equal(readdirSync(join(other.path, 'rebind')).length, 1);
});

test('what is damaged, cut off or of an older build is replaced', () => {
  using at = home();
  at.ask();
  const [file = ''] = at.files();
  const path = join(at.folder, file);
  const { size } = statSync(path);
  truncateSync(path, size >> 1);
  at.ask();
  assert.ok(statSync(path).size > size >> 1);
  writeFileSync(path, Buffer.alloc(size, 'rebind'));
  at.ask();
  assert.ok(!readFileSync(path).includes('rebindrebind'));
  // A page of zeros, as after a power cut: V8 would run it.
  const whole = readFileSync(path);
  writeFileSync(path, Buffer.from(whole).fill(0, size >> 2, (size >> 2) + 4_096));
  at.ask();
  assert.ok(
    readFileSync(path)
      .subarray(size >> 2, (size >> 2) + 4_096)
      .some((byte) => byte !== 0),
  );
  const old = join(at.folder, file.replace(/[^-]+-why$/, '0123456789abcdef-why'));
  const recent = join(at.folder, file.replace(/[^-]+-why$/, 'fedcba9876543210-why'));
  for (const each of [old, recent]) writeFileSync(each, '');
  utimesSync(old, 1, 1);
  rmSync(path);
  at.ask();
  assert.deepEqual(at.files().length, 2);
  assert.ok(existsSync(recent), 'another installation of rebind may use it');
});

test('code is neither run nor kept where somebody else can write', () => {
  using at = home();
  at.ask();
  const [file = ''] = at.files();
  const path = join(at.folder, file);
  const planted = (): void => {
    // V8 would refuse it, and the next run would replace it, if it looked.
    writeFileSync(path, 'planted');
  };
  planted();
  chmodSync(at.folder, 0o777);
  at.ask();
  assert.equal(readFileSync(path, 'utf8'), 'planted');
  chmodSync(at.folder, 0o700);
  rmSync(path);
  symlinkSync('/dev/zero', path);
  at.ask();
  assert.ok(statSync(path).isFile(), 'a link is not followed');
});

test('below a folder of another user nothing is made', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, () => {
  using at = home();
  chownSync(at.path, 65_534, 65_534);
  at.ask();
  assert.equal(existsSync(join(at.path, '.cache')), false);
  mkdirSync(at.folder, { recursive: true });
  chownSync(at.folder, 65_534, 65_534);
  at.ask();
  assert.deepEqual(at.files(), []);
});

test('without a home, or with one that cannot be written, the command just runs', () => {
  using at = home();
  using locked = home();
  at.ask({ HOME: '' });
  at.ask({ HOME: '/dev/null' });
  chmodSync(locked.path, 0o500);
  at.ask({ HOME: locked.path });
  chmodSync(locked.path, 0o700);
});
