/**
 * What people type: lists, ranges, URLs, names of services, and the habits of other tools.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readArguments } from '../../src/cli/args.ts';
import { commands } from '../../src/cli/commands.ts';
import { endpointsIn } from '../../src/cli/typed.ts';
import { UsageError } from '../../src/cli/usage.ts';

describe('words that stand for endpoints', () => {
  const same: readonly (readonly [string, readonly string[]])[] = [
    ['3000', ['3000']],
    ['3000-3003', ['3000', '3001', '3002', '3003']],
    ['3000,3001,8080', ['3000', '3001', '8080']],
    ['3000-3001,8080', ['3000', '3001', '8080']],
    ['udp/53-54', ['udp/53', 'udp/54']],
    ['127.0.0.1:80-81', ['127.0.0.1:80', '127.0.0.1:81']],
    ['[::1]:80-81', ['[::1]:80', '[::1]:81']],
    ['http://localhost:3000/path?q=1#x', ['3000']],
    ['https://example.com', ['example.com:443']],
    ['postgres://user:secret@127.0.0.1/db', ['127.0.0.1:5432']],
    ['http://[::1]:8080/', ['[::1]:8080']],
    ['./a,b.sock', ['./a,b.sock']],
    ['/run/1-2.sock', ['/run/1-2.sock']],
    ['my-host:3000', ['my-host:3000']],
  ];
  for (const [word, endpoints] of same) {
    test(`${word} is ${endpoints.join(' ')}`, () => assert.deepEqual(endpointsIn([word]), endpoints));
  }

  test('the same endpoint is asked about once', () => {
    assert.deepEqual(endpointsIn(['3000', '3000-3001', '3001']), ['3000', '3001']);
  });

  for (const word of ['3000-', '3010-3000', '0-10', '3000-70000', '1-65535', '3000,', ',', 'foo://bar', 'http://']) {
    test(`${word} is a wrong command line`, () => assert.throws(() => endpointsIn([word]), UsageError));
  }
});

describe('habits of other tools get the corrected line', () => {
  const corrected: readonly (readonly [string, string])[] = [
    ['3000 -9', 'rebind free 3000 --force'],
    ['why 3000 --yes', 'rebind free 3000 --yes'],
    ['kill 3000', 'rebind free 3000'],
    ['kill -9 3000', 'rebind free --force 3000'],
    ['list', 'rebind ls'],
    ['ps', 'rebind ls'],
    ['status 3000', 'rebind hold --status 3000'],
    ['-p 3000', 'rebind 3000'],
    ['why -p 3000', 'rebind why 3000'],
    ['free -f 3000', 'rebind free --force 3000'],
    ['free -9 3000', 'rebind free --force 3000'],
    ['-v', 'rebind --version'],
    ['hold 3000 npm start', 'rebind hold 3000 -- npm start'],
    ['hold npm start', 'rebind hold -- npm start'],
  ];
  for (const [line, meant] of corrected) {
    test(`rebind ${line}`, () => {
      assert.throws(
        () => readArguments(line.split(' '), commands),
        (error: unknown) => error instanceof UsageError && error.message.endsWith(`Try: ${meant}`),
      );
    });
  }

  test('a command in quotes', () => {
    assert.throws(
      () => readArguments(['hold', '3000', '--', 'npm start'], commands),
      /Try: rebind hold 3000 -- npm start$/,
    );
  });

  test('a value of a flag is not taken for a command', () => {
    const reading = readArguments(['--device', 'lo', '3999'], commands);
    assert(reading.kind === 'run');
    assert.deepEqual([reading.invocation.command.name, reading.invocation.operands], ['why', ['3999']]);
    assert.equal(reading.invocation.value('device'), 'lo');
  });

  test('version is the version', () => assert.equal(readArguments(['version'], commands).kind, 'version'));
});
