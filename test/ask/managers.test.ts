/** What managers answer, read from real answers and from garbage. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseInspect } from '../../src/ask/managers/containers.ts';
import { instancesIn, unpack } from '../../src/ask/managers/pm2.ts';
import { programsIn, responseIn } from '../../src/ask/managers/supervisord.ts';
import type { Manager } from '../../src/model/managers.ts';
import { doubtAboutManager, stopsOf } from '../../src/model/stops.ts';
import { facts, holder } from '../model/facts.ts';

const id = 'c0ffee'.repeat(10).padEnd(64, '0');

describe('inspect of an engine', () => {
  test('of docker: the name without its slash, the first process, and every published address', () => {
    const ports = {
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '53/udp': null,
    };
    const [container] = parseInspect(
      JSON.stringify([
        { Id: id, Name: '/shop-db', State: { Pid: 41, Paused: true }, NetworkSettings: { Ports: ports } },
      ]),
    );
    assert.deepEqual(container, {
      id,
      name: 'shop-db',
      pid: 41,
      monitor: 0,
      paused: true,
      ports: [
        { protocol: 'tcp', address: '0.0.0.0', port: 8080 },
        { protocol: 'tcp', address: '::', port: 8080 },
      ],
      pod: null,
    });
  });

  test('a name that is none is not repeated, and an id that is none is no container', () => {
    assert.equal(parseInspect(JSON.stringify([{ Id: id, Name: '--all', State: {} }]))[0]?.name, id.slice(0, 12));
    assert.equal(
      parseInspect(JSON.stringify([{ Id: id, Name: 'a\n\u001b[31m', State: {} }]))[0]?.name,
      id.slice(0, 12),
    );
    for (const wrong of ['--all', id.slice(1), `${id}\n`, id.toUpperCase()])
      assert.deepEqual(parseInspect(JSON.stringify([{ Id: wrong, Name: 'x', State: {} }])), []);
  });

  test('garbage is no container', () => {
    for (const text of ['', '[', 'null', '{}', '[null]', '[[]]', '[{"Id":7}]'])
      assert.deepEqual(parseInspect(text), []);
    fc.assert(
      fc.property(fc.json(), (text) => void parseInspect(text)),
      { seed: 9 },
    );
  });
});

describe('pm2', () => {
  const message = (value: unknown): Buffer => {
    const body = Buffer.from(`j:${JSON.stringify(value)}`);
    const head = Buffer.alloc(5);
    head[0] = 0x12;
    head.writeUInt32BE(body.length, 1);
    return Buffer.concat([head, body, Buffer.from([0, 0, 0, 0])]);
  };

  test('a message is whole when its first argument is', () => {
    const bytes = message({ args: [[]] });
    for (let end = 0; end < bytes.length - 4; end++) assert.equal(unpack(bytes.subarray(0, end)), null);
    assert.deepEqual(unpack(bytes), { args: [[]] });
  });

  test('what is no message is refused, and nothing else happens', () => {
    for (const bytes of [
      Buffer.from('HTTP/1.0 200 OK\r\n'),
      Buffer.from([0x10, 0, 0, 0, 0]),
      Buffer.from([0x11, 0, 0, 0, 2, 0x73, 0x3a]),
    ])
      assert.throws(() => unpack(bytes), /another protocol/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          unpack(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }),
      { seed: 9 },
    );
  });

  test('instances without a number or a name are left out', () => {
    const right = { pm_id: 3, name: 'shop', pid: 41, pm2_env: { exec_mode: 'cluster_mode' } };
    assert.deepEqual(instancesIn([right, null, {}, { ...right, pm_id: '3' }, { ...right, name: 7 }]), [
      { id: 3, name: 'shop', pid: 41, cluster: true },
    ]);
    assert.deepEqual(instancesIn('[]'), []);
  });
});

describe('supervisord', () => {
  const struct = (name: string, group: string, pid: number): string =>
    `<struct><member><name>name</name><value><string>${name}</string></value></member><member><name>group</name><value><string>${group}</string></value></member><member><name>pid</name><value><int>${pid}</int></value></member></struct>`;

  test('a program is called by its group where that has another name', () => {
    const list = programsIn(
      `<array>${struct('shop', 'shop', 41)}${struct('a&amp;b', 'workers', 42)}${struct('off', 'off', 0)}</array>`,
    );
    assert.deepEqual(list, [
      { name: 'shop', pid: 41 },
      { name: 'workers:a&b', pid: 42 },
    ]);
  });

  test('a response is whole when it has as many bytes as it says, and a refusal is an error', () => {
    const whole = Buffer.from('HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\näbc', 'utf8');
    assert.equal(responseIn(whole.subarray(0, -2), false), null);
    assert.equal(responseIn(Buffer.from('HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc'), false), 'abc');
    assert.equal(responseIn(Buffer.from('HTTP/1.0 200 OK\r\n\r\nabc'), true), 'abc');
    assert.throws(() => responseIn(Buffer.from('HTTP/1.0 401 Unauthorized\r\n\r\n'), true), /password/);
    assert.throws(() => responseIn(Buffer.from('SSH-2.0-x\r\n\r\n'), true), /another protocol/);
  });
});

describe('how holders are stopped', () => {
  const manager: Manager = {
    kind: 'pm2',
    name: 'shop',
    pid: 40,
    confirmed: true,
    unconfirmed: null,
    paused: false,
    part: null,
    order: null,
    process: null,
  };
  const order = { shown: 'pm2 stop shop', work: { kind: 'pm2', socket: '/x', uid: 0, ids: [1] } } as const;
  const { asker } = facts();

  test('several processes of one application are one order', () => {
    const known = new Map([41, 42].map((pid) => [pid, { ...manager, order }]));
    assert.deepEqual(
      stopsOf([holder(), holder({ pid: 42 })], known, asker).map(({ kind }) => kind),
      ['order'],
    );
  });

  test('the daemon of pm2 that nobody could ask is left alone, and so is supervisord', () => {
    const daemon = holder({ pid: 40, command: 'PM2 v7.0.4: God', argv: ['PM2 v7.0.4: God Daemon (/home/ann/.pm2)'] });
    const [stop] = stopsOf([daemon], new Map([[40, { ...manager, confirmed: false }]]), asker);
    assert.equal(stop?.kind, 'never');
    const supervisord = holder({ pid: 40, command: 'supervisord', argv: ['/usr/bin/python3', '/usr/bin/supervisord'] });
    assert.equal(stopsOf([supervisord], new Map(), asker)[0]?.kind, 'never');
  });

  test('a watcher that has the port open, too, is one of the processes', () => {
    const master = holder({ pid: 40, argv: ['gunicorn: master [app]'] });
    const worker = holder({ parents: [{ pid: 40, command: 'gunicorn' }] });
    const known = new Map([[41, { ...manager, kind: 'gunicorn', process: master } as const]]);
    assert.deepEqual(
      stopsOf([master, worker], known, asker).map(({ kind }) => kind),
      ['process', 'process'],
    );
  });

  test('stopping a manager of several programs always needs confirmation, and a script is no reason to ask', () => {
    assert.match(doubtAboutManager(manager) ?? '', /pm2 runs it, so others may rely on it/);
    assert.equal(doubtAboutManager({ ...manager, kind: 'npm' }), null);
    assert.equal(doubtAboutManager({ ...manager, kind: 'nodemon' }), null);
  });
});
