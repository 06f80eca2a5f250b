/** What the library's functions refuse before they do anything. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type HoldOptions, hold } from '../src/hold/index.ts';
import * as library from '../src/index.ts';

describe('an option that does not exist is refused, never ignored', () => {
  const calls: Readonly<Record<string, (options: object) => unknown>> = {
    why: (options) => library.why(3000, options),
    free: (options) => library.free(3000, { dryRun: true, ...options }),
    wait: (options) => library.wait(3000, { timeoutMs: 0, ...options }),
    // No command: if the option were let through, nothing would be started.
    hold: (options) => library.hold({ command: [], ...options }),
    reserve: (options) => library.reserve(options),
    connect: (options) => library.connect({ port: 1, ...options }),
  };
  for (const [name, call] of Object.entries(calls)) {
    test(name, async () => {
      await assert.rejects(async () => call({ timeout: 300 }), {
        name: 'TypeError',
        message: new RegExp(`^'timeout' is not an option of ${name}\\(\\)\\. The options are \\w+, `),
      });
    });
  }

  test('and what is no object with options is said to be none', async () => {
    const { why, free, wait } = library;
    for (const ask of [why, free, wait])
      await assert.rejects(ask(3000, 300 as unknown as object), {
        name: 'TypeError',
        message: /an object with options, not number/,
      });
    await assert.rejects(library.hold(['node'] as unknown as HoldOptions), { message: /with options, not an array/ });
  });
});

describe('hold refuses what it could not use, in one sentence, before anything is started', () => {
  const rows: readonly (readonly [object, string, string])[] = [
    [{ readyBy: 'listen' }, 'RangeError', 'readyBy must be one of auto, listening, notify, message, not "listen"'],
    [
      { stopSignal: 'SIGKILL' },
      'RangeError',
      'stopSignal must be one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, not "SIGKILL"',
    ],
    [{ endpoints: '3000' }, 'TypeError', "endpoints must be an array, not '3000'"],
    [
      { endpoints: [true] },
      'TypeError',
      'An endpoint is a port, a text, or an object with port or path: received boolean',
    ],
    [{ endpoints: [-1] }, 'RangeError', 'port must be a whole number from 0 to 65535: received -1'],
    [{ watch: 'src' }, 'TypeError', 'watch must be an array of strings, not "src"'],
    [{ watch: null }, 'TypeError', 'watch must be an array of strings, not null'],
    [{ command: 'node' }, 'TypeError', 'hold needs a command: an array of strings, the program first'],
    [{ command: ['node', 3000] }, 'TypeError', 'hold needs a command: an array of strings, the program first'],
  ];
  for (const [options, name, message] of rows) {
    test(JSON.stringify(options), async () => {
      const all = { command: ['/nothing/here'], endpoints: ['127.0.0.1:1'], ...options } as HoldOptions;
      await assert.rejects(hold(all), { name, message });
    });
  }
});
