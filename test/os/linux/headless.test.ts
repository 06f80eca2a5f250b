/**
 * A process whose first thread has ended and whose others go on: a zombie, as far as /proc/PID tells.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { free, why } from '../../../src/index.ts';
import { processes } from '../../../src/os/linux/calls/pidfd.ts';

/** The number of exit(2), which ends one thread (the syscall.tbl of each architecture). */
const exitNumber = { x64: 60, arm64: 93 }[process.arch as string];

/** A worker listens; when somebody writes a line, the main thread ends. */
const program = `
  const { Worker, isMainThread } = require('node:worker_threads');
  if (isMainThread) {
    const koffi = require('koffi');
    const exit = koffi.load(null).func('long syscall(long, int)');
    const worker = new Worker(process.env.PROGRAM, { eval: true });
    worker.once('message', () => exit(${exitNumber}, 0));
  } else {
    const { parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
      require('node:fs').writeSync(1, server.address().port + '\\n');
      parentPort.postMessage('listening');
    });
  }`;

test('the holder is found and named, and ends when it is asked to, although it looks like a zombie', {
  skip: exitNumber === undefined && `the number of exit(2) on ${process.arch} is not known here`,
}, async () => {
  const child = spawn(process.execPath, ['-e', program], {
    env: { ...process.env, PROGRAM: program },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(line);
    const pid = child.pid ?? 0;
    for (let i = 0; !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')); i++) {
      assert.ok(i < 200, 'its first thread goes on');
      await sleep(20);
    }
    for (const holders of ['likely', 'all'] as const) {
      const report = await why({ port, host: '127.0.0.1' }, { holders });
      const [holder] = report.blockers.flatMap((blocker) => blocker.holders);
      assert.equal(report.verdict?.cause, 'other-listener');
      assert.equal(holder?.pid, pid);
      assert.equal(holder?.cwd, process.cwd());
      assert.equal(holder?.argv[1], '-e');
    }
    const identity = processes.identify(pid);
    assert.ok(identity !== null);
    using handle = processes.open(identity);
    assert.equal(handle?.isAlive(), true);
    const freed = await free({ port, host: '127.0.0.1' }, { yes: true });
    assert.equal(freed.bindable, true);
    assert.equal(freed.steps.at(-1)?.outcome, 'done');
    assert.equal(handle.isAlive(), false);
  } finally {
    child.kill('SIGKILL');
  }
});
