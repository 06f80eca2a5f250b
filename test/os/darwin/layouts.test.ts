/**
 * The tables of structures against Apple's headers, and the decoders on bytes that Apple's own functions wrote (get_pcblist_n,
 * fill_socketinfo), of two layouts: macOS 11 and 12, and 13 to 15.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LayoutError } from '../../../src/os/darwin/layout.ts';
import { socketFdinfo, structures } from '../../../src/os/darwin/layouts.ts';
import { inetSockets, readPcbList } from '../../../src/os/darwin/pcb-list.ts';
import { decodeSocketInfo } from '../../../src/os/darwin/socket-info.ts';

const fixtures = fileURLToPath(new URL('../../../../test/fixtures/darwin/', import.meta.url));

interface Headers {
  readonly structs: Readonly<
    Record<
      string,
      {
        readonly source: string;
        readonly versions: readonly {
          readonly tags: readonly string[];
          readonly size: number;
          readonly fields: readonly (readonly [name: string, at: number, size: number])[];
        }[];
      }
    >
  >;
}

/** The major version of Darwin that a tag of xnu is of. */
const darwinOf: Readonly<Record<string, number>> = { 7195: 20, 8020: 21, 8796: 22, 10063: 23, 11215: 24, 11417: 24 };
const darwin = (tag: string): number => darwinOf[tag.split('-')[1]?.split('.')[0] ?? ''] ?? assert.fail(tag);

const sizes: Readonly<Record<string, number>> = { u8: 1, u16: 2, i16: 2, u16n: 2, u32: 4, i32: 4, u64: 8 };

describe('each structure is as the headers of six releases have it', () => {
  const headers = JSON.parse(readFileSync(`${fixtures}layout.json`, 'utf8')) as Headers;
  for (const structure of structures)
    test(`${structure.name}, of ${structure.source}`, () => {
      const known = headers.structs[structure.name];
      assert.equal(known?.source, structure.source);
      for (const { tags, size, fields } of known?.versions ?? [])
        for (const tag of tags) {
          assert.equal(structure.of(darwin(tag)).size, size, tag);
          for (const [name, [at, kind]] of Object.entries(structure.fields)) {
            const wide = typeof kind === 'number' ? kind : (sizes[kind] ?? 0);
            // Later fields are appended, and read only where they are.
            if (at >= size) continue;
            // t_timer[TCPT_2MSL] is the fourth of an array.
            const [header, offset] = name === 't_timer_2msl' ? ['t_timer', at - 12] : [name, at];
            const found = fields.find(([path, place]) => place === offset && path.split('.').at(-1) === header);
            assert.ok(found !== undefined && found[2] >= wide, `${name} at ${at} of ${tag}`);
          }
        }
    });
});

interface Expected {
  readonly [file: string]:
    | Readonly<Record<string, number | string>>
    | readonly Readonly<Record<string, number | string>>[];
}

for (const [folder, release] of [
  ['xnu-7195', 20],
  ['xnu-11417-layout', 24],
] as const) {
  describe(`what Apple's functions wrote, ${folder}`, () => {
    const expected = JSON.parse(readFileSync(`${fixtures}${folder}/expected.json`, 'utf8')) as Expected;
    const bytesOf = (file: string): Buffer => readFileSync(`${fixtures}${folder}/${file}`);

    for (const protocol of ['tcp', 'udp'] as const) {
      test(`${protocol}.pcblist_n`, () => {
        const file = `${protocol}.pcblist_n.bin`;
        const rows = expected[file] as readonly Readonly<Record<string, number | string>>[];
        const pcbs = readPcbList(bytesOf(file), release);
        assert.equal(pcbs.length, rows.length);
        const sockets = inetSockets(pcbs, protocol, release, () => null);
        for (const [index, row] of rows.entries()) {
          const { inpcb, socket, tcp } = pcbs[index] ?? assert.fail();
          assert.deepEqual(
            {
              vflag: inpcb.inp_vflag,
              flags: inpcb.inp_flags,
              lport: inpcb.inp_lport,
              fport: inpcb.inp_fport,
              so_options: socket.so_options,
              so_state: socket.so_state,
              so_uid: socket.so_uid,
              so_last_pid: socket.so_last_pid,
              so_e_pid: socket.so_e_pid,
              xso_family: socket.xso_family,
              xso_protocol: socket.xso_protocol,
              so_qlimit: socket.so_qlimit,
              ...(protocol === 'tcp' && { t_state: tcp?.t_state }),
            },
            Object.fromEntries(
              Object.entries(row).filter(([name]) => !['flags2', 'local', 'remote', 'so_usecount'].includes(name)),
            ),
          );
          const told = sockets[index] ?? assert.fail();
          const plain = (address = ''): string => address.replace('::ffff:', '');
          assert.equal(plain(told.local.address), row['local']);
          if (row['fport'] !== 0) assert.equal(plain(told.remote?.address), row['remote']);
        }
      });
    }

    for (const file of readdirSync(`${fixtures}${folder}`).filter((name) => name.startsWith('socket_fdinfo')))
      test(file, () => {
        const row = expected[file] as Readonly<Record<string, number | string>>;
        const info = socketFdinfo.of(release).read(bytesOf(file));
        const hasState = 'state' in row;
        assert.deepEqual(
          {
            kind: info.soi_kind,
            family: info.soi_family,
            type: info.soi_type,
            protocol: info.soi_protocol,
            options: info.soi_options,
            lport: info.insi_lport,
            fport: info.insi_fport,
            vflag: info.insi_vflag,
            insi_flags: info.insi_flags,
            qlimit: info.soi_qlimit,
            ...(hasState && { state: info.tcpsi_state }),
          },
          Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'laddr')),
        );
        const socket = decodeSocketInfo(bytesOf(file), release);
        assert.equal(socket?.local.port, row['lport']);
        assert.equal(socket?.isListening, ((row['options'] as number) & 2) !== 0);
      });

    test('a socket of a process is found in the list by its identity', () => {
      const all = inetSockets(readPcbList(bytesOf('tcp.pcblist_n.bin'), release), 'tcp', release, () => null);
      for (const [file, port, state] of [
        ['socket_fdinfo.tcp4-listen-127.0.0.1-3000.bin', 3000, 'LISTEN'],
        ['socket_fdinfo.tcp4-established-3000.bin', 3000, 'ESTABLISHED'],
        ['socket_fdinfo.tcp6-listen-dual-8080.bin', 8080, 'LISTEN'],
        ['socket_fdinfo.tcp6-established-mapped-8080.bin', 8080, 'ESTABLISHED'],
        ['socket_fdinfo.tcp4-bound-9090.bin', 9090, 'BOUND'],
      ] as const) {
        const open = decodeSocketInfo(bytesOf(file), release);
        const found = all.filter(({ inode }) => inode === open?.id);
        assert.deepEqual(
          found.map((one) => [one.local.port, one.state]),
          [[port, state]],
          file,
        );
      }
    });
  });
}

describe('the sockets, in the words of the model', () => {
  const bytes = readFileSync(`${fixtures}xnu-11417-layout/tcp.pcblist_n.bin`);
  const sockets = inetSockets(readPcbList(bytes, 24), 'tcp', 24, () => 12_000);
  const at = (port: number, state: string) =>
    sockets.find((socket) => socket.local.port === port && socket.state === state) ?? assert.fail();

  test('a listener with its flags, its user, its queue and the hint', () => {
    const listener = at(3000, 'LISTEN');
    assert.equal(listener.family, 4);
    assert.deepEqual(listener.local, { address: '127.0.0.1', port: 3000 });
    assert.deepEqual([listener.reuseAddress, listener.reusePort, listener.uid], [true, false, 501]);
    assert.deepEqual(listener.queue, { waiting: 0, limit: 5 });
    assert.deepEqual(listener.darwin, { lastPid: 4242, sharesUsers: false, userSpace: false });
    assert.equal(at(8080, 'LISTEN').v6Only, false);
    assert.equal(at(8081, 'LISTEN').v6Only, true);
  });

  test('a connection over IPv4 of a dual-stack listener has a mapped address; its client is outgoing', () => {
    const child = at(8080, 'ESTABLISHED');
    assert.deepEqual([child.family, child.local.address, child.direction], [6, '::ffff:127.0.0.1', 'incoming']);
    assert.deepEqual([at(49153, 'ESTABLISHED').direction, at(49153, 'ESTABLISHED').autoPort], ['outgoing', true]);
  });

  test('nobody owns what is in TIME_WAIT, whatever process the kernel still names', () => {
    const left = at(7000, 'TIME_WAIT');
    assert.deepEqual([left.inode, left.expiresInMs, left.darwin?.lastPid], [0, 12_000, 7777]);
    assert.equal(at(9090, 'BOUND').remote, null);
  });

  test('in macOS 12 it is hidden whether a socket shares its port with other users', () => {
    const older = readPcbList(readFileSync(`${fixtures}xnu-7195/tcp.pcblist_n.bin`), 20);
    for (const { darwin: own } of inetSockets(older, 'tcp', 20, () => null)) assert.equal(own?.sharesUsers, null);
  });
});

test('a list of another release is refused, not guessed at', () => {
  const newer = readFileSync(`${fixtures}xnu-11417-layout/tcp.pcblist_n.bin`);
  assert.throws(() => readPcbList(newer, 21), LayoutError);
  const older = readFileSync(`${fixtures}xnu-7195/tcp.pcblist_n.bin`);
  assert.throws(() => readPcbList(older, 25), LayoutError);
  assert.throws(() => readPcbList(newer.subarray(0, newer.length - 100), 24), LayoutError);
  assert.throws(() => readPcbList(Buffer.alloc(0), 24), LayoutError);
});

test('a list without a socket is its head', () => {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(24, 0);
  assert.deepEqual(readPcbList(head, 24), []);
});
