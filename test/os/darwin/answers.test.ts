/**
 * Every situation of answers.ts has its cause and its exit status, and an answer without a hole in it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, situations } from './answers.ts';

for (const situation of situations)
  test(`on a Mac: ${situation.title}`, async () => {
    const { text, code, cause } = await answerOf(situation);
    assert.equal(cause, situation.cause, text);
    assert.equal(code, situation.code, text);
    assert.doesNotMatch(text, /bug in rebind|undefined|NaN|\bnull\b/);
    assert.match(text, /has not been run on macOS yet/);
  });
