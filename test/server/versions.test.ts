/**
 * Runs every `*.cases.js` of this folder on each Node version that test/versions holds, and on the one that runs the tests.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = new URL('./', import.meta.url);
const nodes = [
  { name: `Node ${process.versions.node}`, path: process.execPath },
  ...['22', '24', '26'].map((version) => ({
    name: `Node ${version}`,
    path: fileURLToPath(new URL(`../../../test/versions/node_modules/node${version}/bin/node`, import.meta.url)),
  })),
];

for (const file of readdirSync(folder).filter((name) => name.endsWith('.cases.js'))) {
  for (const { name, path } of nodes) {
    const skip = existsSync(path) ? false : `${name} is not installed: npm ci --prefix test/versions`;
    test(`${file.replace('.cases.js', '')} on ${name}`, { skip, timeout: 300_000 }, async () => {
      const { status, output } = await run(path, fileURLToPath(new URL(file, folder)));
      assert.equal(status, 0, output);
      assert.match(output, /^# pass [1-9]/m, 'no case ran');
    });
  }
}

function run(node: string, file: string): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const args = ['--enable-source-maps', '--test-reporter=tap', '--no-warnings', file];
    const env = { ...process.env };
    // Set by the runner above us; with it a test file reports in a binary form.
    delete env['NODE_TEST_CONTEXT'];
    const child = spawn(node, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}
