import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkVectors, tables } from '../../tools/vector-rows.ts';

// From build/test/model to the root of the repository.
const root = new URL('../../../', import.meta.url);
const sample = fileURLToPath(new URL('test/fixtures/linux-bind-sample.json', root));
const whole = process.env['REBIND_VECTORS'] ?? fileURLToPath(new URL('../shared/vectors/linux-bind-truth.json', root));

function load(path: string): Record<string, unknown[][]> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown[][]>;
}

for (const result of checkVectors(load(sample))) {
  test(`the rules give what the kernel gave in all ${result.rows} sampled rows of ${result.table}`, () => {
    assert.ok(result.rows > 0);
    assert.deepEqual(result.differences, []);
  });
}

test('the sample has every table, and rows that the cache decided', () => {
  const results = checkVectors(load(sample));
  assert.deepEqual(
    results.map((result) => result.table),
    [...tables],
  );
  assert.ok(results.some((result) => result.cacheRows > 0));
});

// The whole file (29,697 rows) is not part of the repository.
if (process.env['REBIND_VECTORS'] !== undefined || existsSync(whole)) {
  test('the rules give what the kernel gave in every row of the whole file', () => {
    for (const result of checkVectors(load(whole))) assert.deepEqual(result.differences, [], result.table);
  });
}

for (const table of tables) {
  test(`a wrong result in a row of ${table} is reported as a difference`, () => {
    const document = load(sample);
    const column = table === 'multi' ? 3 : table === 'tcp' || table === 'dev_rows' ? 7 : table === 'udp' ? 7 : 5;
    const rows = document[table];
    // Past the rows that the cache decided, which are only checked against what the prediction allows.
    const row = rows?.[table === 'multi' ? rows.length - 1 : 0];
    assert.ok(row !== undefined);
    row[column] = row[column] === 0 ? 98 : 0;
    const found = checkVectors(document).find((result) => result.table === table);
    assert.deepEqual(
      found?.differences.map((difference) => difference.row),
      [row],
    );
  });
}

const malformed: [string, unknown][] = [
  ['null', null],
  ['an empty object', {}],
  ['a file without its keys', { tcp: [] }],
  ['a row that is too short', { ...load(sample), tcp: [[0, 0]] }],
  ['a row that is no list', { ...load(sample), udp: ['x'] }],
  ['an index outside of the key', { ...load(sample), tcp: [[99, 0, 0, 0, 0, 0, 0, 98, -1]] }],
  ['a table that is no list', { ...load(sample), multi: {} }],
];
for (const [title, document] of malformed) {
  test(`checkVectors() refuses ${title}`, () => {
    assert.throws(() => checkVectors(document), TypeError);
  });
}
