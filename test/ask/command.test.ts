import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../../src/ask/command.ts';

test('a program that leaves something running does not keep anybody waiting', async () => {
  const startedAt = performance.now();
  const result = await runCommand('sh', ['-c', 'sleep 20 & echo $!'], { timeoutMs: 10_000 });
  assert.ok(performance.now() - startedAt < 5_000);
  process.kill(Number(result.stdout), 'SIGKILL');
  assert.deepEqual({ ...result, stdout: '' }, { status: 0, stdout: '', stderr: '', failure: null });
});

test('who does not finish is ended, though a child of it holds the output', async () => {
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
