/**
 * The package as it is published: its doors open, and what it loads late is there.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a program in the package's own folder, where its name stands for itself as it does where it is installed. */
function run(args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 30_000 });
}

describe('the published package', () => {
  test('offers what docs/api.md lists, to import and to require', () => {
    const names = `['why', 'free', 'wait', 'hold', 'listen', 'close']`;
    for (const program of [
      `import * as rebind from 'rebind'; for (const name of ${names}) if (typeof rebind[name] !== 'function') throw new Error(name)`,
      `const rebind = require('rebind'); for (const name of ${names}) if (typeof rebind[name] !== 'function') throw new Error(name)`,
    ]) {
      const type = program.startsWith('import') ? 'module' : 'commonjs';
      const { status, stderr } = run([`--input-type=${type}`, '-e', program]);
      assert.equal(status, 0, stderr);
    }
  });

  test('importing it does nothing: nothing native is loaded and nothing is printed', () => {
    const program = `const before = String(process.eventNames()); await import('rebind');
      if (String(process.eventNames()) !== before) throw new Error('something listens for ' + String(process.eventNames()));
      if (process.report.getReport().sharedObjects.some((name) => name.includes('koffi'))) throw new Error('koffi was loaded')`;
    const { status, stdout, stderr } = run(['--input-type=module', '-e', program]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout + stderr, '');
  });

  test('rebind/explain adds the reason to the error of an unmodified program', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = server.address();
    assert(at !== null && typeof at === 'object');
    const program = `require('node:http').createServer().listen(${at.port}, '127.0.0.1')`;
    const { status, stderr } = run(['--import', 'rebind/explain', '-e', program]);
    server.close();
    assert.equal(status, 1);
    assert.match(
      stderr,
      new RegExp(`EADDRINUSE.*:${at.port}\\n +node package.test.js \\(pid ${process.pid}\\) already listens`),
    );
  });

  test('rebind/adopt does nothing where no socket was passed', () => {
    const { status, stdout, stderr } = run(['--import', 'rebind/adopt', '-e', `console.log('ran')`]);
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'ran\n', stderr: '' });
  });
});
