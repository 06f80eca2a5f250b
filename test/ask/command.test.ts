import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { findProgram, runCommand } from '../../src/ask/command.ts';

test('a program that leaves something running does not keep anybody waiting', async () => {
  const startedAt = performance.now();
  const result = await runCommand('sh', ['-c', 'sleep 20 & echo $!'], { timeoutMs: 10_000 });
  assert.ok(performance.now() - startedAt < 5_000);
  process.kill(Number(result.stdout), 'SIGKILL');
  assert.deepEqual({ ...result, stdout: '' }, { status: 0, stdout: '', stderr: '', failure: null });
});

test('a program that does not finish is stopped, though a child of it holds the output', async () => {
  const startedAt = performance.now();
  const { stdout, failure } = await runCommand('sh', ['-c', 'sleep 20 & echo $!; wait'], { timeoutMs: 300 });
  assert.ok(performance.now() - startedAt < 5_000);
  process.kill(Number(stdout), 'SIGKILL');
  assert.equal(failure, 'it did not finish within 0.3 s');
});

test('a time that no timer can count is not over at once', async () => {
  const { status, failure } = await runCommand('sh', ['-c', 'sleep 0.1'], { timeoutMs: 2 ** 31 + 15_000 });
  assert.deepEqual({ status, failure }, { status: 0, failure: null });
});

test('everything that was printed is there, also when there is much of it', async () => {
  const { stdout } = await runCommand('sh', ['-c', 'head -c 1000000 /dev/zero | tr "\\0" x'], { timeoutMs: 10_000 });
  assert.equal(stdout.length, 1_000_000);
});

test('without a descriptor to spare no program is started, nothing is thrown, and nothing stays open', () => {
  const module = new URL('../../src/ask/command.js', import.meta.url).href;
  const source = `
    import { closeSync, openSync, readdirSync } from 'node:fs';
    import { runCommand } from ${JSON.stringify(module)};
    const run = async () => { const { status, failure } = await runCommand('id', [], { timeoutMs: 10_000 }); return failure ?? status; };
    const before = [await run(), readdirSync('/proc/self/fd').length];
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null')); } catch {}
    const answers = new Set();
    for (let spare = 0; spare < 16; spare++) { answers.add(await run()); closeSync(taken.pop()); }
    for (const fd of taken) closeSync(fd);
    console.log(JSON.stringify([...before, ...answers, readdirSync('/proc/self/fd').length]));`;
  const script = 'ulimit -n 128; exec "$0" --input-type=module -e "$1"';
  const { stdout, stderr } = spawnSync('sh', ['-c', script, process.execPath, source], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(stderr, '');
  const [ran, openBefore, ...answers] = JSON.parse(stdout) as unknown[];
  assert.deepEqual([ran, ...answers], [0, 'it could not be started: EMFILE', 0, openBefore]);
});

test('a program gets a small environment, and the current directory of nobody', async () => {
  process.env['REBIND_SECRET'] = 'x';
  try {
    const { stdout } = await runCommand('sh', ['-c', 'pwd; env'], { timeoutMs: 10_000 });
    assert.match(stdout, /^\/\n/);
    assert.match(stdout, /^PATH=\//m);
    assert.doesNotMatch(stdout, /REBIND_SECRET|NODE_/);
  } finally {
    delete process.env['REBIND_SECRET'];
  }
});

test('only the name of a program is one', () => {
  for (const name of ['./docker', '/bin/sh', '--all', '', 'a b', 'docker\n'])
    assert.throws(() => findProgram(name), TypeError);
});

test('nothing is found in a folder that others may write to, nor through an entry that is not absolute', () => {
  const before = process.env['PATH'];
  const folder = mkdtempSync(join(tmpdir(), 'rebind-path-'));
  writeFileSync(join(folder, 'docker'), '#!/bin/sh\n', { mode: 0o755 });
  try {
    process.env['PATH'] = folder;
    assert.equal(findProgram('docker'), join(folder, 'docker'));
    chmodSync(join(folder, 'docker'), 0o777);
    assert.equal(findProgram('docker'), null, 'a program that everybody may change');
    chmodSync(join(folder, 'docker'), 0o755);
    chmodSync(folder, 0o777);
    assert.equal(findProgram('docker'), null, 'a folder that everybody may change');
    chmodSync(folder, 0o755);
    for (const path of ['', '.', relative(process.cwd(), folder), ':', `:${folder.slice(1)}`]) {
      process.env['PATH'] = path;
      assert.equal(findProgram('docker'), null, path);
    }
  } finally {
    process.env['PATH'] = before;
    rmSync(folder, { recursive: true });
  }
});
