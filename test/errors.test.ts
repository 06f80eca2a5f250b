import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { Report } from '../src/causes/bind/index.ts';
import {
  BlockedPortError,
  isBlockedPortError,
  isNativeError,
  isUnsupportedError,
  NativeError,
  UnsupportedError,
} from '../src/errors.ts';
import { answer, ask } from '../src/model/judge.ts';
import { facts, port, request, socket } from './model/facts.ts';

const sentence = 'nod\u001b[31me (pid 41) already listens on 0.0.0.0:3000';
const cause = {
  id: 'other-listener',
  on: ['linux' as const],
  recognise: () => ({ pid: 41 }),
  say: () => sentence,
  remedies: () => [],
};
const report = answer(ask(request(), facts({ sockets: [socket()] }), { errno: 'EADDRINUSE', port }), [cause]) as Report;

test("BlockedPortError keeps the fields of Node's own error, and the error as its cause", async () => {
  const first = createServer();
  await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
  const taken = first.address();
  assert.ok(taken !== null && typeof taken === 'object');
  const second = createServer();
  const own = await new Promise<NodeJS.ErrnoException>((resolve) => {
    second.on('error', resolve).listen(taken.port, '127.0.0.1');
  });
  first.close();
  const error = new BlockedPortError(report, { cause: own });
  const { code, errno, syscall, address, port: failed } = error;
  assert.deepEqual(
    { code, errno, syscall, address, port: failed },
    { code: 'EADDRINUSE', errno: own.errno, syscall: 'listen', address: '127.0.0.1', port: taken.port },
  );
  assert.equal(error.cause, own);
  assert.equal(error.name, 'BlockedPortError');
  assert.ok(error instanceof Error);
});

test('BlockedPortError fills in the fields from the report when there is no other error', () => {
  const error = new BlockedPortError(report);
  assert.equal(error.code, 'EADDRINUSE');
  assert.ok(error.errno < 0);
  assert.equal(error.address, '0.0.0.0');
  assert.equal(error.port, port);
  assert.equal(error.verdict?.cause, 'other-listener');
  assert.equal(error.blockers.length, 1);
  assert.equal('cause' in error, false);
});

test('the message of BlockedPortError says where and why, without control characters', () => {
  assert.equal(
    new BlockedPortError(report).message,
    'Cannot listen on port 3000 (EADDRINUSE): nod\\x1b[31me (pid 41) already listens on 0.0.0.0:3000',
  );
});

test('what an uncaught BlockedPortError prints holds no control character of the other process', () => {
  assert.doesNotMatch(inspect(new BlockedPortError(report), { depth: 10 }), /\u001b\[31m/);
});

test('BlockedPortError of a Unix socket has the path as address and -1 as port, as Node has', () => {
  const unix = answer(ask(request({ protocol: 'unix', path: '/run/app' }), facts(), null), []) as Report;
  const error = new BlockedPortError({ ...unix, errno: 'EADDRINUSE' });
  assert.equal(error.address, '/run/app');
  assert.equal(error.port, -1);
});

test('the guards tell the errors apart and take no other value', () => {
  const blocked = new BlockedPortError(report);
  const native = new NativeError('bind', 98);
  const unsupported = new UnsupportedError('not here');
  const guards = [isBlockedPortError, isNativeError, isUnsupportedError];
  const matched = (value: unknown): number[] => guards.flatMap((guard, index) => (guard(value) ? [index] : []));
  assert.deepEqual(matched(blocked), [0]);
  assert.deepEqual(matched(native), [1]);
  assert.deepEqual(matched(unsupported), [2]);
  for (const value of [null, undefined, 'EADDRINUSE', new Error('x'), { code: 'EADDRINUSE' }]) {
    assert.deepEqual(matched(value), []);
  }
});

test('a guard knows an error of another copy of the package', async () => {
  const copy = `../src/errors.js?copy`;
  const other = (await import(copy)) as typeof import('../src/errors.ts');
  assert.notEqual(other.BlockedPortError, BlockedPortError);
  assert.ok(isBlockedPortError(new other.BlockedPortError(report)));
});
