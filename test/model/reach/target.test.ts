import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatTarget, parseTarget, type Target } from '../../../src/model/reach/target.ts';

const tcp = (host: string, port: number, speaks: 'http' | 'tls' | null = null): Target => ({
  protocol: 'tcp',
  host,
  port,
  speaks,
});

describe('a target', () => {
  const rows: readonly (readonly [string, Target, path?: string])[] = [
    ['3000', tcp('localhost', 3000)],
    [':3000', tcp('localhost', 3000)],
    ['db.internal:5432', tcp('db.internal', 5432)],
    ['[::1]:3000', tcp('::1', 3000)],
    ['[fe80::1%eth0]:22', tcp('fe80::1%eth0', 22)],
    ['http://localhost:5173/', tcp('localhost', 5173, 'http')],
    ['http://localhost', tcp('localhost', 80, 'http')],
    ['https://example.org/a/b?c=d#e', tcp('example.org', 443, 'tls'), '/a/b?c=d'],
    ['https://example.org:80/', tcp('example.org', 80, 'tls')],
    ['http://[::0001]:80/', tcp('::1', 80, 'http')],
    ['ws://127.0.0.1:9229/x', tcp('127.0.0.1', 9229, 'http'), '/x'],
    ['postgres://ann:secret@db:5433/shop', tcp('db', 5433), '/shop'],
    ['redis://cache', tcp('cache', 6379)],
    ['udp/10.0.0.2:53', { protocol: 'udp', host: '10.0.0.2', port: 53, speaks: null }],
    ['./app.sock', { protocol: 'unix', path: './app.sock', speaks: null }],
    ['unix:@name', { protocol: 'unix', path: '\0name', speaks: null }],
    ['http://müller.example/', tcp('xn--mller-kva.example', 80, 'http')],
    ['müller.example:8080', tcp('xn--mller-kva.example', 8080)],
  ];
  for (const [text, target, path = '/'] of rows)
    test(`${text} is read`, () => {
      const parsed = parseTarget(text);
      assert.deepEqual(parsed.target, target);
      assert.equal(parsed.path, path);
      const again = parseTarget(formatTarget(parsed.target)).target;
      assert.deepEqual({ ...again, speaks: null }, { ...target, speaks: null });
    });

  test('a URL of the web asks for a request, nothing else does', () => {
    for (const text of ['http://a/', 'https://a/', 'ws://a/', 'wss://a/']) assert.equal(parseTarget(text).url, true);
    for (const text of ['3000', 'a:1', 'postgres://a/', './a.sock']) assert.equal(parseTarget(text).url, false);
  });

  test('what is none is refused in one sentence', () => {
    const wrong = [
      '',
      '0',
      '65536',
      'abc',
      '3000-',
      'http://',
      'http://a:0/',
      'http://a:99999/',
      'foo://a/',
      'http://a b/',
      '[::1]',
      '[::1:80',
      'a b:80',
      '1.2.3:80',
      '../',
    ];
    for (const text of wrong)
      if (text !== '../')
        assert.throws(
          () => parseTarget(text),
          (error) => error instanceof RangeError && !/[\n.]$/.test(error.message),
          text,
        );
  });
});
