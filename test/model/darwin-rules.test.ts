import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BindOptions } from '../../src/model/endpoint.ts';
import type { Facts, InetSocket } from '../../src/model/facts.ts';
import { darwin } from '../../src/model/rules/darwin.ts';
import type { Outcome } from '../../src/model/verdict.ts';
import { at, facts, port, request, settings, socket } from './facts.ts';

/** The one socket that a plain Node server makes: SO_REUSEADDR, newest first in a list. */
function listener(address: string, over: Partial<InetSocket> = {}): InetSocket {
  const { linux: _, ...plain } = socket({ ...at(address), reuseAddress: true, ...over });
  return plain;
}

function predict(address: string, sockets: readonly InetSocket[], options: Partial<BindOptions> = {}, over = {}) {
  return darwin.predict(
    request({ address }, options),
    facts({ platform: 'darwin', kernel: '24.5.0', sockets, ...over } as Partial<Facts>),
  );
}

describe('what a Node server meets on macOS', () => {
  const rows: [wants: string, others: readonly InetSocket[], outcome: Outcome][] = [
    ['::', [listener('::')], 'EADDRINUSE'],
    ['::', [listener('0.0.0.0')], null],
    ['::', [listener('127.0.0.1')], null],
    ['0.0.0.0', [listener('::')], 'EADDRINUSE'],
    ['0.0.0.0', [listener('127.0.0.1')], null],
    ['127.0.0.1', [listener('::')], null],
    ['127.0.0.1', [listener('0.0.0.0')], null],
    ['127.0.0.1', [listener('127.0.0.1')], 'EADDRINUSE'],
    ['127.0.0.1', [listener('127.0.0.1', { state: 'TIME_WAIT' })], null],
    ['127.0.0.1', [listener('127.0.0.1', { state: 'FIN_WAIT2', reuseAddress: false })], null],
    ['127.0.0.1', [listener('127.0.0.1', { state: 'TIME_WAIT', uid: 0 })], 'EADDRINUSE'],
    ['127.0.0.1', [listener('0.0.0.0', { uid: 0 })], 'EADDRINUSE'],
    ['::', [listener('0.0.0.0', { uid: 0 })], null],
    ['::', [listener('::', { uid: 0 })], 'EADDRINUSE'],
  ];
  for (const [wants, others, outcome] of rows) {
    const [other] = others;
    const whose = other?.uid === 0 ? "root's" : 'a';
    test(`${wants} beside ${whose} ${other?.state} on ${other?.local.address}: ${outcome ?? 'available'}`, () => {
      const { possible, candidates, bystanders } = predict(wants, others);
      assert.deepEqual(possible, [outcome]);
      assert.equal(candidates.length, outcome === null ? 0 : 1);
      assert.equal(candidates.length + bystanders.length, others.length);
    });
  }

  test('root is not bound to its own sockets', () => {
    const asker = { ...facts().asker, uid: 0 };
    assert.deepEqual(predict('127.0.0.1', [listener('0.0.0.0')], {}, { asker }).possible, [null]);
  });

  test('a socket with SO_REUSESHAREUID lets another user in, where that can be seen', () => {
    const theirs = (sharesUsers: boolean | null) =>
      listener('0.0.0.0', { uid: 7, darwin: { lastPid: 0, sharesUsers, userSpace: false } });
    assert.deepEqual(predict('127.0.0.1', [theirs(true)]).possible, [null]);
    assert.deepEqual(predict('127.0.0.1', [theirs(false)]).possible, ['EADDRINUSE']);
    // Up to macOS 12 the flag is hidden.
    assert.deepEqual(predict('127.0.0.1', [theirs(null)]).possible, ['EADDRINUSE', null]);
  });

  test('a listener of Network.framework has no socket, and only may be in the way', () => {
    const flow = listener('::', { inode: 0, darwin: { lastPid: 99, sharesUsers: false, userSpace: true } });
    const { possible, candidates } = predict('127.0.0.1', [flow]);
    assert.deepEqual(possible, ['EADDRINUSE', null]);
    assert.deepEqual(
      candidates.map(({ conflict }) => conflict),
      ['maybe'],
    );
  });

  test('where the order of bind may not be the order of the list, both answers are allowed', () => {
    const sharing = listener('127.0.0.1', { reusePort: true });
    const { possible } = predict('127.0.0.1', [sharing, listener('127.0.0.1')], { reusePort: true });
    assert.deepEqual([...possible].sort(), ['EADDRINUSE', null].sort());
  });

  test('without a definite port the system chooses, and says in its own way that none is left', () => {
    const zero = (address: string) =>
      darwin.predict(request({ address, port: 0 }), facts({ platform: 'darwin', kernel: '24.5.0' })).possible;
    assert.deepEqual(zero('0.0.0.0'), [null, 'EADDRNOTAVAIL']);
    assert.deepEqual(zero('::'), [null, 'EAGAIN']);
  });
});

describe('what a release decides', () => {
  const outcome = (kernel: string, address: string, to: number, protocol: 'tcp' | 'udp' = 'tcp'): Outcome =>
    darwin.predict(
      request({ protocol, address, port: to }),
      facts({ platform: 'darwin', kernel, settings: { ...settings, localAddresses: settings.localAddresses } }),
    ).possible[0] ?? null;

  test('a port below 1024 needs root only on a definite address, since 10.14', () => {
    assert.equal(outcome('17.7.0', '0.0.0.0', 80), 'EACCES');
    assert.equal(outcome('18.2.0', '0.0.0.0', 80), null);
    assert.equal(outcome('24.5.0', '::', 443), null);
    assert.equal(outcome('24.5.0', '127.0.0.1', 80), 'EACCES');
    assert.equal(outcome('24.5.0', '127.0.0.1', 1024), null);
    // A release that cannot be read is taken for a new one.
    assert.equal(outcome('', '0.0.0.0', 80), null);
  });

  test('TCP port 55555 is the system’s, since 10.15', () => {
    assert.equal(outcome('18.7.0', '::', 55_555), null);
    assert.equal(outcome('19.6.0', '::', 55_555), 'EADDRINUSE');
    assert.equal(outcome('24.5.0', '::', 55_555, 'udp'), null);
  });

  test('TCP on broadcast is of the wrong family, since 12.3', () => {
    assert.equal(outcome('20.6.0', '255.255.255.255', 3000), 'EADDRNOTAVAIL');
    assert.equal(outcome('21.4.0', '255.255.255.255', 3000), 'EAFNOSUPPORT');
    assert.equal(outcome('20.6.0', '224.0.0.251', 3000), 'EAFNOSUPPORT');
  });
});

describe('who gets a connection', () => {
  // In the order of bind, as the scenarios of darwin-bind-sample.json list them; -1 is nobody.
  const rows: [listeners: readonly string[], toV4: number, toV6: number][] = [
    [['0.0.0.0', '127.0.0.1'], 1, -1],
    [['127.0.0.1', '0.0.0.0'], 0, -1],
    [['0.0.0.0', '::'], 0, 1],
    [['::', '127.0.0.1'], 1, 0],
    [['127.0.0.1', '::'], 0, 1],
    [['::', '::1'], 0, 1],
    [['0.0.0.0', '0.0.0.0'], 0, -1],
    [['127.0.0.1', '127.0.0.1', '127.0.0.1'], 2, -1],
    [['::', '::'], 0, 0],
  ];
  for (const [listeners, toV4, toV6] of rows) {
    test(`of ${listeners.join(', then ')}`, () => {
      const inOrder = listeners.map((address) => listener(address));
      const newestFirst = [...inOrder].reverse();
      const winner = (to: string): number => {
        const found = darwin.receiver?.(to, newestFirst) ?? null;
        return found === null ? -1 : inOrder.indexOf(found);
      };
      assert.deepEqual([winner('127.0.0.1'), winner('::1')], [toV4, toV6]);
    });
  }
});

test('a socket that decides is named first, and one of another port not at all', () => {
  const older = listener('0.0.0.0', { inode: 1 });
  const connection = listener('127.0.0.1', { state: 'ESTABLISHED', inode: 2 });
  const elsewhere = listener('0.0.0.0', { inode: 3, local: { address: '0.0.0.0', port: port + 1 } });
  const { candidates } = predict('0.0.0.0', [elsewhere, connection, older], { reuseAddress: false });
  assert.deepEqual(
    candidates.map(({ socket: { inode } }) => inode),
    [1, 2],
  );
});
