import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortestIpv6 } from '../../src/model/address.ts';
import { formatEndpoint, parseEndpoint } from '../../src/model/endpoint.ts';

const good: [string, ReturnType<typeof parseEndpoint>][] = [
  ['3000', { protocol: 'tcp', host: null, port: 3000 }],
  [':3000', { protocol: 'tcp', host: null, port: 3000 }],
  ['*:3000', { protocol: 'tcp', host: null, port: 3000 }],
  ['tcp/3000', { protocol: 'tcp', host: null, port: 3000 }],
  ['127.0.0.1:3000', { protocol: 'tcp', host: '127.0.0.1', port: 3000 }],
  ['[::1]:3000', { protocol: 'tcp', host: '::1', port: 3000 }],
  ['[0:0:0:0:0:0:0:1]:3000', { protocol: 'tcp', host: '::1', port: 3000 }],
  ['[fe80::1%eth0]:3000', { protocol: 'tcp', host: 'fe80::1%eth0', port: 3000 }],
  ['localhost:3000', { protocol: 'tcp', host: 'localhost', port: 3000 }],
  ['udp/53', { protocol: 'udp', host: null, port: 53 }],
  ['udp/[::]:53', { protocol: 'udp', host: '::', port: 53 }],
  ['./app.sock', { protocol: 'unix', path: './app.sock' }],
  ['app.sock', { protocol: 'unix', path: 'app.sock' }],
  ['dir/app.sock', { protocol: 'unix', path: 'dir/app.sock' }],
  ['dir/app', { protocol: 'unix', path: 'dir/app' }],
  ['a/b/3000', { protocol: 'unix', path: 'a/b/3000' }],
  ['./tcp6/3000', { protocol: 'unix', path: './tcp6/3000' }],
  ['unix:http://x', { protocol: 'unix', path: 'http://x' }],
  ['/run/app', { protocol: 'unix', path: '/run/app' }],
  ['unix:/run/app.sock', { protocol: 'unix', path: '/run/app.sock' }],
  ['unix:@app', { protocol: 'unix', path: '\0app' }],
];
for (const [text, parsed] of good) {
  test(`parseEndpoint() reads ${text}`, () => assert.deepEqual(parseEndpoint(text), parsed));
}

const bad = [
  '',
  '0',
  '65536',
  '99999',
  'abc',
  '3000-',
  '-1',
  '3000.5',
  '1e3',
  ' 3000',
  '127.0.0.1',
  '256.1.1.1:80',
  '::1:3000',
  '[::1]',
  '[::1',
  '[::g]:80',
  'localhost:',
  'a b:80',
  'udp/',
  'udp/./x.sock',
  'unix:',
  '03000x',
  '٣٠٠٠',
];
for (const text of bad) {
  test(`parseEndpoint() refuses ${JSON.stringify(text)} with one clear sentence`, () => {
    assert.throws(
      () => parseEndpoint(text),
      (error: unknown) => {
        assert.ok(error instanceof RangeError);
        assert.doesNotMatch(error.message, /[\n\u001b]/);
        return true;
      },
    );
  });
}

const hints: [string, RegExp][] = [
  ['http://localhost:3000', /a URL is not an endpoint; try localhost:3000$/],
  ['https://ann:secret@[::1]:8443/x', /; try \[::1\]:8443$/],
  ['http://example.org', /a URL is not an endpoint; try localhost:3000$/],
  ['sctp/3000', /write tcp\/3000 or udp\/3000, or \.\/sctp\/3000 for/],
  ['tcp6/3000', /write tcp\/3000, or/],
  ['UDP/127.0.0.1:53', /write udp\/127\.0\.0\.1:53, or/],
  ['localhost', /such as localhost:3000$/],
  ['db.example', /such as db\.example:3000$/],
  ['@abs', /write unix:@abs$/],
  ['3000/tcp', /write tcp\/3000, or \.\/3000\/tcp for a socket/],
  ['0.0.0.0:53/udp', /write udp\/0\.0\.0\.0:53, or/],
  ['udp:53', /write udp\/53$/],
];
for (const [text, hint] of hints) {
  test(`parseEndpoint() refuses ${text} and says what would be right`, () => {
    assert.throws(() => parseEndpoint(text), { name: 'RangeError', message: hint });
  });
}

test('parseEndpoint() quotes control characters of what it refuses', () => {
  assert.throws(() => parseEndpoint('\u001b[31m3000'), { message: /\\u001b/ });
});

test('formatEndpoint() writes what parseEndpoint() reads', () => {
  assert.equal(formatEndpoint({ protocol: 'tcp', address: '::1', port: 3000 }), '[::1]:3000');
  assert.equal(formatEndpoint({ protocol: 'udp', address: '0.0.0.0', port: 53 }), 'udp/0.0.0.0:53');
  assert.equal(formatEndpoint({ protocol: 'unix', path: './app.sock' }), './app.sock');
  assert.equal(formatEndpoint({ protocol: 'unix', path: '\0app' }), 'unix:@app');
});

test('shortestIpv6() follows RFC 5952', () => {
  assert.equal(shortestIpv6('2001:DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(shortestIpv6('::ffff:7f00:1'), '::ffff:127.0.0.1');
  assert.equal(shortestIpv6('0:0:0:0:0:0:0:0'), '::');
});

test('every path of a Unix socket is written so that it is read again as the same path', () => {
  for (const path of ['.', '..', '.hidden', './a', '../a', '/a', 'a', '80', 'udp/53', '\0name'])
    assert.deepEqual(parseEndpoint(formatEndpoint({ protocol: 'unix', path })), { protocol: 'unix', path });
});
