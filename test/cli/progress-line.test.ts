import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Io } from '../../src/cli/io.ts';
import { openStatus, type Situation } from '../../src/cli/progress-line.ts';

/** The line as a terminal of so many columns shows it first. */
function lineAt(columns: number, situation: Situation): string {
  let written = '';
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      written += chunk;
      done();
    },
  });
  Object.assign(stderr, { isTTY: true, columns });
  const io = {
    stderr,
    env: { NO_COLOR: '1', LANG: 'en_US.UTF-8' },
    isInteractive: true,
    signal: new AbortController().signal,
  };
  using status = openStatus(io as unknown as Io);
  status.show(situation);
  return stripVTControlCharacters(written).replace('\r', '');
}

const leftovers = { text: 'waiting for leftover connections to expire', leftMs: 45_000, wholeMs: 60_000 };

test('an ordinary terminal shows the bar, what is waited for, and how long it still takes', () => {
  assert.equal(lineAt(80, leftovers), `${'█'.repeat(5)}${'░'.repeat(15)} ${leftovers.text} (45 s left)`);
});

test('where the line is short it is never the time that is cut', () => {
  const long = { ...leftovers, text: `waiting: ${'a very long reason '.repeat(20)}` };
  for (const columns of [100, 80, 60, 40, 30]) {
    const line = lineAt(columns, long);
    assert.match(line, /… \(45 s left\)$/);
    assert.equal(line.length, columns - 1);
    assert.match(lineAt(columns, { ...long, leftMs: null }), /… \(0 s\)$/);
  }
  assert.doesNotMatch(lineAt(30, long), /█/);
});
