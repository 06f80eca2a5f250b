/**
 * The words that a person meets are pinned in test/pins/, so that a change of them is made on purpose (repo.test compares them).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { literalsOf } from '../tools/docs/literals.ts';
import { pins } from '../tools/docs/pins.ts';

test('the sentences of the causes, the help and the errors are among them', () => {
  const text = [...pins().values()].join('\n');
  for (const part of ['# causes/bind/time-wait.ts', '==== rebind help free', 'There is no command', 'Not seen:'])
    assert(text.includes(part), part);
});

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
