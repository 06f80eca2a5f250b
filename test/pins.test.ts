/**
 * The words that a person meets are pinned, so that a change of them is made on purpose.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { literalsOf } from '../tools/pins/literals.ts';
import { pins } from '../tools/pins.ts';

for (const [name, text] of pins()) {
  test(`test/pins/${name} is what the code says (npm run pins writes it)`, () => {
    const pinned = readFileSync(new URL(`../../test/pins/${name}`, import.meta.url), 'utf8');
    assert.equal(text, pinned);
    assert(text.length > 5_000, 'the sentences were not found');
  });
}

test('sentences are found in strings and templates, and not in comments and patterns', () => {
  const source = [
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the source of a template
    "const a = 'It\\'s one'; // 'no comment'",
    '/* "none here" */ const b = /it\'s a [/] pattern "x/.test(a);',
    'const c = `two ${d ? `and ${e} inside` : "or this"} end`;',
    'const f = g / h; const i = "after a division / here";',
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the source of a template
  ].join('\n');
  assert.deepEqual(literalsOf(source), [
    "It's one",
    'two {} end',
    'and {} inside',
    'or this',
    'after a division / here',
  ]);
});
