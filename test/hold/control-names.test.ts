import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { controlNameOf } from '../../src/hold/control.ts';
import { os } from '../../src/os/index.ts';
import { run } from './command.ts';
import { fixture, freePort, get, rebind } from './harness.ts';

const server = [process.execPath, fixture('server.cjs')];
const ask = (...args: string[]) => spawnSync(process.execPath, [rebind, 'hold', ...args], { encoding: 'utf8' });

test('a hold that took the socket of another hold is found by its endpoint as soon as that one has ended', async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  const env = { PORT: String(port), HOST: '127.0.0.1' };
  await using first = run(['hold', where, '--', ...server], { env });
  await first.printed(/\(pid \d+\) is ready/);
  await using second = run(['hold', '--take-over', where, '--', ...server], { env });
  await second.printed(new RegExp(`Process ${first.pid}, whose socket was taken over, has exited`));
  const { pid } = JSON.parse(ask('--status', where, '--json').stdout);
  assert.equal(pid, second.pid);
  assert.deepEqual(ask('--restart', String(port)).stdout, 'Generation 2 serves\n');
  assert.match(await get(port), /^2 /);
  assert.doesNotMatch(second.stderr(), /Another process has the name/);
});

test('a note that comes while hold opens reaches the terminal: another hold has the name', async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  const env = { PORT: String(port), HOST: '127.0.0.1' };
  const kept = await os().channels.listen(`hold-${process.pid}-kept`, {
    admit: () => true,
    onChannel: ({ socket }) => socket.destroy(),
  });
  kept.publish(controlNameOf({ protocol: 'tcp', address: '127.0.0.1', port }));
  try {
    await using held = run(['hold', where, '--', ...server], { env });
    await held.printed(new RegExp(`Another hold has the name that "rebind hold --status ${where}" looks for`));
    await held.printed(/is ready/);
    // It is found all the same: every hold is asked what it holds.
    kept.close();
    const { pid } = JSON.parse(ask('--status', where, '--json').stdout);
    assert.equal(pid, held.pid);
  } finally {
    kept.close();
  }
});

const root = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;

test('a directory that another user took first is named with its uid, and hold goes on', {
  skip: !root && 'needs root and a mount namespace',
}, async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  const script = 'mount -t tmpfs none /run && mkdir -m 777 /run/rebind && chown 65534 /run/rebind && exec "$@"';
  await using held = run(['hold', where, '--', ...server], {
    before: ['unshare', '-m', 'sh', '-c', script, 'sh'],
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/\/run\/rebind belongs to uid 65534, so it is not used: remove it/);
  await held.printed(/is ready/);
});

test('without any directory the names are abstract, which is said, and hold is found', {
  skip: !root && 'needs root and a mount namespace',
}, async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  const script =
    'mount -t tmpfs none /run && mount -o remount,ro /run && mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"';
  await using held = run(['hold', where, '--', ...server], {
    before: ['unshare', '-m', 'sh', '-c', script, 'sh'],
    env: { PORT: String(port), HOST: '127.0.0.1', TMPDIR: '' },
  });
  await held.printed(/There is no directory for control sockets .*abstract names/);
  await held.printed(/is ready/);
  const { pid } = JSON.parse(ask('--status', where, '--json').stdout);
  assert.equal(pid, held.pid);
  assert.equal(ask('--restart', where).stdout, 'Generation 2 serves\n');
});

test('a name that is only just being made is not taken for a dead one by another process that cleans up', async () => {
  const channels = new URL('../../src/os/index.js', import.meta.url).href;
  // Publishing a name looks for dead ones.
  const cleaning = `import { os } from '${channels}'; const { channels } = os(); const options = { admit: () => false, onChannel() {} };
    const one = await channels.listen('hold-' + process.pid + '-cleans', options);
    console.log('ready'); for (let i = 0; ; i++) one.publish('at-' + process.pid, true);`;
  const cleaner = spawn(process.execPath, ['--input-type=module', '-e', cleaning], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(cleaner.stdout, 'data');
    for (let i = 0; i < 60; i++) {
      const made = await os().channels.listen(`hold-${process.pid}-made-${i}`, {
        anyUser: true,
        admit: () => false,
        onChannel: () => {},
      });
      assert.ok(made.address.startsWith('@') || existsSync(made.address));
      made.close();
    }
  } finally {
    cleaner.kill('SIGKILL');
    await once(cleaner, 'exit');
  }
});
