import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lameDuckMs } from '../../src/model/lame-duck.ts';

const every = (ms: number, times: number): number[] => Array.from({ length: times }, (_, index) => index * ms);

test('the lame duck is three intervals of the slowest prober and a second, at most ten seconds', () => {
  assert.equal(lameDuckMs([every(1000, 5)], 4500, false), 4000);
  assert.equal(lameDuckMs([every(2000, 8)], 15_000, false), 7000);
  assert.equal(lameDuckMs([every(500, 8), every(2000, 3)], 4500, false), 7000);
  assert.equal(lameDuckMs([every(20_000, 8)], 150_000, false), 10_000);
});

test('one late question does not make the interval longer', () => {
  assert.equal(lameDuckMs([[0, 1000, 2000, 9000, 10_000, 11_000]], 11_500, false), 4000);
});

test('where nobody asks there is none, unless an orchestrator keeps a list of its own', () => {
  assert.equal(lameDuckMs([], 1000, false), 0);
  assert.equal(lameDuckMs([], 1000, true), 7000);
  assert.equal(lameDuckMs([every(1000, 5)], 4500 + 120_000, false), 0, 'nobody has asked for two minutes');
});

test('fewer than three questions tell no interval', () => {
  assert.equal(lameDuckMs([[0]], 10, false), 7000);
  assert.equal(lameDuckMs([[0, 100]], 200, false), 7000);
});
