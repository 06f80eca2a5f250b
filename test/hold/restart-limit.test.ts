/** What a command writes after each start is told from what a person edits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestartLimit } from '../../src/hold/restart-limit.ts';

/** Each change comes so many milliseconds after a start of its own. */
function waits(...sinceMs: readonly number[]): number[] {
  let nowMs = 0;
  const limit = new RestartLimit(() => nowMs);
  return sinceMs.map((ms) => {
    limit.started();
    nowMs += ms;
    return limit.changed('app.log').waitMs;
  });
}

test('just after each start: from the fourth on it waits, twice as long each time, and a minute at most', () => {
  assert.deepEqual(waits(20, 700, 300, 90, 20, 20), [0, 0, 0, 1_000, 2_000, 4_000]);
  assert.equal(waits(...Array(20).fill(20)).at(-1), 60_000);
});

test('later, but the same time after each start', () => {
  assert.deepEqual(waits(5_000, 5_100, 4_950, 5_000), [0, 0, 0, 1_000]);
});

test('edits come at any time', () => {
  assert.deepEqual(waits(5_000, 9_000, 3_000, 4_000, 8_000, 300, 2_000), [0, 0, 0, 0, 0, 0, 0]);
});

test('it is told once, and a second change after one start counts no further', () => {
  let nowMs = 0;
  const limit = new RestartLimit(() => nowMs);
  const told: boolean[] = [];
  for (let start = 0; start < 6; start++) {
    limit.started();
    for (const ms of [10, 10]) {
      nowMs += ms;
      told.push(limit.changed('app.log').tell);
    }
  }
  assert.deepEqual(
    told.flatMap((is, index) => (is ? [index] : [])),
    [6],
  );
});
