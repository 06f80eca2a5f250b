/** `rebind check` as a command: its exit statuses, its document, and files that are none. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { documents } from '../../tools/docs/documents.ts';
import { type Schema, violations } from '../../tools/docs/schema.ts';
import { rebind } from '../cli/command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'rebind-check-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const bad = file('Dockerfile', 'FROM node:22\nCMD ["npm","start"]\n');
const good = file('good.dockerfile', 'FROM node:22\nCMD ["node","."]\n');
const broken = file('broken.yaml', 'a: [');

test('1 for a fault, 0 for none, 3 where a file could not be read', () => {
  const ran = rebind(['check', bad]);
  assert.equal(ran.code, 1);
  assert.match(ran.stdout, /Dockerfile:2 {2}script-as-pid-1\n/);
  assert.match(ran.stdout, /\n1 fault and 0 notes in 1 file\n$/);
  const fine = rebind(['check', good]);
  assert.equal(fine.code, 0);
  assert.equal(fine.stdout, 'Nothing found in 1 file\n');
  const unread = rebind(['check', good, broken]);
  assert.equal(unread.code, 3);
  assert.match(unread.stdout, /broken\.yaml: not\s+checked\. It is no YAML/);
});

test('a directory stands for its Kubernetes manifests, whatever they are called, and not for other YAML', () => {
  const directory = join(folder, 'k8s');
  mkdirSync(directory);
  const manifest = 'apiVersion: v1\nkind: Service\nmetadata: { name: web }\n';
  for (const [name, text] of [
    ['web.yaml', manifest],
    ['lock.yaml', 'lockfileVersion: 9\n'],
  ] as const)
    writeFileSync(join(directory, name), text);
  assert.equal(rebind(['check', directory]).stdout, 'Nothing found in 1 file\n');
});

test('where no file could be checked, it does not say that nothing was found', () => {
  assert.match(rebind(['check', broken]).stdout, /\nNo file was checked\n$/);
});

test('its document fits its schema', () => {
  const { code, stdout } = rebind(['check', folder, broken, '--json']);
  assert.equal(code, 1);
  const document = JSON.parse(stdout);
  assert.deepEqual(violations(documents['check'] as Schema, document), []);
  assert.deepEqual(
    document.files.map(({ kind }: { kind: string | null }) => kind),
    ['Dockerfile', 'Dockerfile', null],
  );
});

test('what is no file is one sentence and exit 2', () => {
  for (const [path, sentence] of [
    [join(folder, 'nothing'), /There is no file/],
    ['/dev/zero', /no file that can be read to its end/],
    [join(folder, 'nothing\u001b[31m'), /\\u001b/],
  ] as const) {
    const { code, stderr } = rebind(['check', path]);
    assert.equal(code, 2, path);
    assert.match(stderr, sentence);
  }
});

test('a link to a file of /proc that never ends is read as far as it says that it is long', {
  skip: process.platform !== 'linux',
}, () => {
  const clone = mkdtempSync(join(folder, 'clone-'));
  symlinkSync('/proc/self/pagemap', join(clone, 'compose.yaml'));
  const { code, stdout } = rebind(['check', clone]);
  assert.equal(code, 3, stdout);
});

test('the examples for production have no fault', () => {
  const examples = fileURLToPath(new URL('../../../examples/production/', import.meta.url));
  const { code, stdout } = rebind(['check', examples]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /in 5 files/);
});
