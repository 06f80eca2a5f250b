import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasLibc, libc } from '../../../../src/os/linux/calls/libc.ts';

test('the C library has every function that is declared, though each is looked up at its first use', {
  skip: !hasLibc(),
}, () => {
  const names = Object.getOwnPropertyNames(libc()) as (keyof ReturnType<typeof libc>)[];
  assert.ok(names.length > 40, `${names.length}`);
  for (const name of names) assert.equal(typeof libc()[name], 'function', name);
  // One that was looked up is not looked up again.
  assert.equal(libc().close, libc().close);
  assert.equal(libc().close(-1), -1);
  assert.equal(libc().errno(), 9);
});
