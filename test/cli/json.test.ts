import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorDocument, print, whyDocument } from '../../src/cli/json.ts';
import type { Report } from '../../src/model/verdict.ts';
import { documents } from '../../tools/docs/documents.ts';
import { type Schema, violations } from '../../tools/docs/schema.ts';
import { free, hostile, taken, waiting } from './reports.ts';

const why = documents['why'] as Schema;

describe('the documents', () => {
  test('every report fits the schema', () => {
    const unix: Report = { ...free, endpoint: { protocol: 'unix', path: '/run/app.sock' } };
    for (const report of [taken, waiting, hostile, free, unix, { ...free, bindable: null }]) {
      assert.deepEqual(violations(why, JSON.parse(print(whyDocument([report])))), []);
    }
    assert.deepEqual(violations(why, JSON.parse(print(whyDocument([taken, free])))), []);
    assert.deepEqual(violations(documents['error'] as Schema, errorDocument('usage', 'Wrong')), []);
  });

  test('the schema notices what is missing, wrong, or not described', () => {
    const document = JSON.parse(print(whyDocument([taken])));
    const one = (why['anyOf'] as Schema[])[0] as Schema;
    const { gaps, ...without } = document;
    assert.deepEqual(violations(one, without), ['$.gaps: is missing']);
    assert.deepEqual(violations(one, { ...document, more: 1 }), ['$.more: is not described']);
    assert.deepEqual(violations(one, { ...document, bindable: 'no' }), ['$.bindable: is not boolean or null']);
    document.blockers[0].holders[0].pid = '7';
    assert.deepEqual(violations(one, document), ['$.blockers[0].holders[0].pid: is not integer']);
    assert.deepEqual(gaps, []);
  });

  test('fields of the objects behind a document do not leak into it', () => {
    const report = { ...taken, secret: 1, blockers: [{ ...taken.blockers[0], secret: 2 }] } as unknown as Report;
    assert.doesNotMatch(print(whyDocument([report])), /secret/);
  });

  test('hostile text is harmless in a terminal and comes back as it was', () => {
    const text = print(whyDocument([hostile]));
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    assert.equal(JSON.parse(text).verdict.sentence, hostile.verdict?.sentence);
  });
});
