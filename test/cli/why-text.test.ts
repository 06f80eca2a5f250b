import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Canvas } from '../../src/cli/io.ts';
import { columnsOf, shellWords, shorten, shortenPath, wrap } from '../../src/cli/text.ts';
import { clock, countdown, duration } from '../../src/cli/time.ts';
import { picture } from '../../src/cli/why-text.ts';
import { escapeText } from '../../src/model/text.ts';
import { free, hostile, listener, noonMs, server, taken, timeWait, waiting } from './reports.ts';

const plain: Canvas = { width: 80, unicode: true, home: '/home/ann', paint: (_style, text) => text };

describe('the picture of a report', () => {
  test('a taken port: the sentence, who, and what to do', () => {
    assert.equal(
      picture(taken, plain, noonMs),
      `Port 3000 is in use by node server.js (pid 4121, ~/shop, started 2 h ago)

  rebind free 3000
    Stop it and verify that the port is available

  tcp [::]:3000  listening
  └─ node server.js --title 'my shop'
     pid    4121, user ann, since 09:50:00
     in     ~/shop
     under  bash 4000 ← tmux: server 3990 ← systemd 1

Or
  Listen on another port

EADDRINUSE: rebind help other-listener
`,
    );
  });

  test('leftovers: the last to end comes first, with the time when it ends', () => {
    const text = picture(waiting, plain, noonMs);
    assert.match(text, /42 s left, until 12:00:42: then the last of them is gone/);
    assert.match(text, /and 2 more sockets like them/);
    assert.match(text, /no process has it open: the kernel itself keeps it/);
  });

  test('a free port is one line', () => {
    assert.equal(picture(free, plain, noonMs), 'Port 3000 is available\n');
  });

  test('a bindable port with something worth saying says so', () => {
    const text = picture({ ...taken, bindable: true, errno: null, plan: [] }, plain, noonMs);
    assert.match(text, /^Port 3000 is available, but: node/);
  });

  test('what could not be told is not called blocked', () => {
    const text = picture({ ...free, bindable: null }, plain, noonMs);
    assert.equal(text, 'Cannot tell whether port 3000 is available\n');
  });

  test('a holder that is not visible is named by its user', () => {
    assert.match(picture(hostile, plain, noonMs), /└─ held by a process of uid 1001/);
  });

  test('thousands of holders and sockets stay a picture', () => {
    const holders = Array.from({ length: 3000 }, (_, index) => ({ ...server, pid: 10_000 + index }));
    const many = picture({ ...taken, blockers: [{ ...listener, holders }] }, plain, noonMs);
    assert(many.split('\n').length < 50, `${many.split('\n').length} lines`);
    assert.match(many, /and 2997 more: pid 10003, 10004, .*…/);
    const blockers = Array.from({ length: 5000 }, (_, index) => timeWait(index, 1000));
    assert.match(picture({ ...waiting, blockers }, plain, noonMs), /and 4997 more sockets like them/);
  });

  for (const width of [20, 40, 80, 120]) {
    test(`at ${width} columns only commands to paste are longer`, () => {
      for (const report of [taken, waiting, hostile, free]) {
        const commands = report.plan.map(({ command }) => command);
        for (const line of picture(report, { ...plain, width }, noonMs).split('\n')) {
          // Addresses are not broken either: half an address is a wrong address.
          if (commands.includes(line.trim()) || /^ {2}tcp /.test(line) || width < 40) continue;
          assert(columnsOf(line) <= width, `${columnsOf(line)} columns: ${line}`);
        }
      }
    });
  }

  test('nothing that came from another process can act on the terminal', () => {
    const text = picture(hostile, plain, noonMs);
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    assert.match(text, /evil\\x1b\[2J\\u202eexe/);
    assert.match(text, /\[sl\\reep\]/);
  });

  test('a terminal without Unicode gets ASCII', () => {
    const text =
      picture(waiting, { ...plain, unicode: false }, noonMs) + picture(taken, { ...plain, unicode: false }, noonMs);
    assert.doesNotMatch(text, /[^\u0000-\u007f]/);
  });
});

describe('text', () => {
  test('escapeText spells out controls, marks that reorder, and halves of characters', () => {
    assert.equal(
      escapeText('a\tb\nc\u001b[0m\u009b\u200b\u2066\ud800\u{e0041}'),
      'a\\tb\\nc\\x1b[0m\\x9b\\u200b\\u2066\\ud800\\u{e0041}',
    );
    assert.equal(escapeText('naïve 日本語 🦀'), 'naïve 日本語 🦀');
  });

  test('columns count wide characters twice and combining ones not at all', () => {
    assert.equal(columnsOf('日本'), 4);
    assert.equal(columnsOf('e\u0301'), 1);
    assert.equal(shorten('日本語です', 5), '日本…');
    assert.equal(shortenPath('/a/very/long/path', 8), '…ng/path');
  });

  test('wrap breaks at spaces, and words only where it must', () => {
    assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
    assert.deepEqual(wrap('abcdefghij', 4), ['abcd', 'efgh', 'ij']);
  });

  test('shellWords quotes what a shell would take apart', () => {
    assert.equal(shellWords(['node', 'a b', "it's", '$HOME', '']), `node 'a b' 'it'\\''s' '$HOME' ''`);
  });
});

describe('times', () => {
  test('durations are rounded up, in two units', () => {
    assert.equal(duration(200), '1 s');
    assert.equal(duration(59_001), '60 s');
    assert.equal(duration(125_000), '2 min 5 s');
    assert.equal(duration(3 * 3_600_000), '3 h');
    assert.equal(duration(72 * 3_600_000), '3 days');
    assert.equal(duration(-5), '0 s');
  });

  test('a clock shows the day when it is not today', () => {
    assert.equal(clock(noonMs, noonMs), '12:00:00');
    assert.equal(clock(noonMs - 24 * 3_600_000, noonMs), '2026-11-21 12:00:00');
  });

  test('a countdown never ends before the wait does', () => {
    assert.equal(countdown(41_210, noonMs), '42 s left, until 12:00:42');
    assert.equal(countdown(500, noonMs + 700), '1 s left, until 12:00:02');
  });
});
