import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkVectors } from '../../tools/vectors/index.ts';

// From build/test/model to the root of the repository.
const root = new URL('../../../', import.meta.url);
const fixture = (name: string): string => fileURLToPath(new URL(`test/fixtures/${name}`, root));
const shared = (name: string): string => fileURLToPath(new URL(`../shared/vectors/${name}`, root));

function load(path: string): Record<string, unknown[][]> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown[][]>;
}

/** Each system with the errno of EADDRINUSE, and the column of a table that holds the kernel's first answer. */
const systems = [
  {
    name: 'Linux',
    sample: 'linux-bind-sample.json',
    whole: process.env['REBIND_VECTORS'] ?? shared('linux-bind-truth.json'),
    inUse: 98,
    answers: { tcp: 7, udp: 7, listen2: 5, dev_rows: 7, multi: 3 },
  },
  {
    name: 'macOS',
    sample: 'darwin-bind-sample.json',
    whole: shared('darwin-bind-truth.json'),
    inUse: 48,
    answers: { tcp: 7, udp: 7, listen2: 5, multi: 4, privileged: 4, restricted: 3, address: 3, multicast: 5 },
  },
] as const;

for (const { name, sample, whole, inUse, answers } of systems) {
  describe(name, () => {
    for (const result of checkVectors(load(fixture(sample)))) {
      test(`the rules give what the kernel gave in all ${result.rows} sampled rows of ${result.table}`, () => {
        assert.ok(result.rows > 0);
        assert.deepEqual(result.differences, []);
      });
    }

    test('the sample has every table', () => {
      assert.deepEqual(
        checkVectors(load(fixture(sample))).map((result) => result.table),
        Object.keys(answers),
      );
    });

    // The whole files are not part of the repository.
    if (existsSync(whole)) {
      test('the rules give what the kernel gave in every row of the whole file', () => {
        for (const result of checkVectors(load(whole))) assert.deepEqual(result.differences, [], result.table);
      });
    }

    for (const [table, column] of Object.entries(answers)) {
      test(`a wrong result in a row of ${table} is reported as a difference`, () => {
        const document = load(fixture(sample));
        const rows = document[table];
        // The last: the first of multi may be decided by the kernel's cache, and is only checked against what the prediction allows.
        const row = rows?.[rows.length - 1];
        assert.ok(row !== undefined);
        row[column] = row[column] === 0 ? inUse : 0;
        const found = checkVectors(document).find((result) => result.table === table);
        assert.deepEqual(
          found?.differences.map((difference) => difference.row),
          [row],
        );
      });
    }
  });
}

test('the sample of Linux has rows that the cache decided', () => {
  assert.ok(checkVectors(load(fixture(systems[0].sample))).some((result) => result.cacheRows > 0));
});

const sample = load(fixture(systems[0].sample));
const malformed: [string, unknown][] = [
  ['a file of macOS without its keys', { kernel: 'xnu-7195', tcp: [] }],
  ['a short row of macOS', { ...load(fixture(systems[1].sample)), multi: [[6, 0]] }],
  ['null', null],
  ['an empty object', {}],
  ['a file without its keys', { tcp: [] }],
  ['a row that is too short', { ...sample, tcp: [[0, 0]] }],
  ['a row that is no list', { ...sample, udp: ['x'] }],
  ['an index outside of the key', { ...sample, tcp: [[99, 0, 0, 0, 0, 0, 0, 98, -1]] }],
  ['a table that is no list', { ...sample, multi: {} }],
];
for (const [title, document] of malformed) {
  test(`checkVectors() refuses ${title}`, () => {
    assert.throws(() => checkVectors(document), TypeError);
  });
}
