/**
 * What macOS says: lists of sockets, structures of processes, and what lsof, netstat and ps print. The bytes are Apple's own, or made by its
 * layouts.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseJobs } from '../../src/ask/managers/launchd.ts';
import { isIpv4, isIpv6 } from '../../src/model/address.ts';
import { LayoutError } from '../../src/os/darwin/layout.ts';
import { inetSockets, readPcbList } from '../../src/os/darwin/pcb-list.ts';
import { decodeKinfo, decodeProcArgs } from '../../src/os/darwin/process-info.ts';
import { decodeSockaddr } from '../../src/os/darwin/sockaddr.ts';
import { decodeSocketInfo } from '../../src/os/darwin/socket-info.ts';
import { parseLsof } from '../../src/os/darwin/text/lsof.ts';
import { parseNetstat } from '../../src/os/darwin/text/netstat.ts';
import { parsePs } from '../../src/os/darwin/text/ps.ts';
import { readUnixList } from '../../src/os/darwin/unix-list.ts';
import { damagedBytes } from './mutate.ts';
import { must, ofBytes, ofText, type Parser, parser } from './parser.ts';

const fixtures = fileURLToPath(new URL('../../../test/fixtures/darwin/xnu-11417-layout/', import.meta.url));
const recorded = (file: string): Buffer => readFileSync(`${fixtures}${file}`);

/** macOS 15. */
const darwin = 24;

const isLayout = (error: unknown): boolean => error instanceof LayoutError;

/** A list of Unix sockets by their layout: one that listens at a path. */
function unixList(): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(24, 0);
  const one = Buffer.alloc(724);
  one.writeUInt32LE(724, 0);
  one.writeUInt8(15, 104);
  one.write('/tmp/app.sock', 106);
  one.writeUInt16LE(2, 630);
  return Buffer.concat([head, one, head]);
}

function procArgs(): Buffer {
  const count = Buffer.alloc(4);
  count.writeInt32LE(3, 0);
  return Buffer.concat([
    count,
    Buffer.from('/usr/local/bin/node\0\0\0\0node\0server.js\0--port=3000\0HOME=/Users/ann\0XPC_SERVICE_NAME=shop\0'),
  ]);
}

export const lsofText = [
  'p4242\ncnode\nR1\nu501\nf20\ntIPv4\nPTCP\nn127.0.0.1:3000\nTST=LISTEN\nTQR=0\nTQS=0\nf21\ntIPv6\nPTCP\nn[::1]:3000->[::1]:50000\nTST=ESTABLISHED\n',
  'p611\ncControlCe\\x20\nR1\nu501\nf9\ntIPv6\nPTCP\nn*:5000\nTST=LISTEN\nf10\ntIPv4\nPUDP\nn*:*\n',
];

export const netstatText = [
  `Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)     rhiwat shiwat    pid   epid state    options
tcp4       0      0  127.0.0.1.3000         *.*                    LISTEN      131072 131072   4242      0 0x0180 0x00000006
`,
  `Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)      rxbytes      txbytes  rhiwat  shiwat          process:pid    state  options           gencnt    flags
tcp46      0      0  *.8080                 *.*                    LISTEN             0            0  131072  131072 Google Chrome He:902 00180 00000006 0000000000012345 00000000
udp4       0      0  *.5353                 *.*                                       0            0  786896    9216      mDNSResponder:330  00100 00000204 00000000000005
`,
];

export const psText = [
  '    1     0     1     0 Ss   Mon Nov 23 08:00:00 2026 /sbin/launchd\n 4242     1  4242   501 S+   Thu Nov  6 00:40:37 2026 /Applications/My App.app/Contents/MacOS/My App --port 3000\n',
];

function rightAddress(one: { readonly address: string; readonly port: number } | null): void {
  if (one === null) return;
  must(isIpv4(one.address) || isIpv6(one.address), `has the address ${one.address}`);
  must(one.port >= 0 && one.port <= 65_535, `has the port ${one.port}`);
}

export const darwinParsers: readonly Parser[] = [
  ...(['tcp', 'udp'] as const).map((protocol) =>
    ofBytes(
      `os/darwin/pcb-list.ts readPcbList of ${protocol}`,
      [recorded(`${protocol}.pcblist_n.bin`)],
      (bytes) => inetSockets(readPcbList(bytes, darwin), protocol, darwin, () => null),
      {
        throws: isLayout,
        holds: (sockets) => {
          for (const { local, remote } of sockets.slice(0, 100)) {
            rightAddress(local);
            rightAddress(remote);
          }
        },
      },
    ),
  ),
  ofBytes(
    'os/darwin/socket-info.ts decodeSocketInfo',
    ['tcp6-established-mapped-8080', 'udp6-dual-5353', 'tcp4-bound-9090'].map((name) =>
      recorded(`socket_fdinfo.${name}.bin`),
    ),
    (bytes) => decodeSocketInfo(bytes, darwin),
    { throws: isLayout, most: 4_096, holds: (one) => must(one === null || Number.isSafeInteger(one.id), 'has no id') },
  ),
  ofBytes('os/darwin/unix-list.ts readUnixList', [unixList()], (bytes) => readUnixList(bytes, 'stream', darwin), {
    throws: isLayout,
    holds: (sockets) => {
      for (const { path } of sockets.slice(0, 100)) must(path !== '' && !path.includes('\0'), 'has no path');
    },
  }),
  ofBytes('os/darwin/process-info.ts decodeKinfo', [Buffer.alloc(648, 1)], (bytes) => decodeKinfo(bytes, darwin), {
    throws: isLayout,
    most: 4_096,
    holds: ({ startedAtMs }) => must(Number.isFinite(startedAtMs), 'has no start'),
  }),
  ofBytes('os/darwin/process-info.ts decodeProcArgs', [procArgs()], decodeProcArgs, {
    holds: ({ argv }, bytes) => must(argv.join('').length <= bytes.length, 'has more than there was'),
  }),
  parser(
    'os/darwin/sockaddr.ts decodeSockaddr',
    (random) => {
      const bytes = Buffer.alloc(128);
      damagedBytes(random, [Buffer.from([16, 2, 11, 184, 127, 0, 0, 1]), Buffer.from([28, 30, 11, 184])], 128).copy(
        bytes,
      );
      return { bytes, length: 2 + random.below(127) };
    },
    ({ bytes, length }) =>
      decodeSockaddr(bytes, length, 'tcp', { if_nametoindex: () => 0, if_indextoname: () => false }),
    { holds: (one) => must(one.protocol === 'unix' || (one.port >= 0 && one.port <= 65_535), 'has no port') },
  ),
  ofText('os/darwin/text/lsof.ts parseLsof', lsofText, parseLsof, {
    holds: (processes) => {
      for (const { pid, sockets } of processes.slice(0, 100)) {
        must(Number.isSafeInteger(pid) && pid > 0, `is process ${pid}`);
        for (const { local } of sockets.slice(0, 100)) must(local.port <= 65_535, `has the port ${local.port}`);
      }
    },
  }),
  ofText('os/darwin/text/netstat.ts parseNetstat', netstatText, parseNetstat, {
    holds: (sockets) => {
      for (const { local, lastPid } of sockets.slice(0, 100))
        must(local.port <= 65_535 && (lastPid === null || lastPid >= 0), 'is no socket');
    },
  }),
  ofText(
    'ask/managers/launchd.ts parseJobs',
    ['PID\tStatus\tLabel\n-\t0\tcom.apple.x\n611\t0\tcom.example.shop\n'],
    parseJobs,
    {
      holds: (jobs) => {
        for (const { pid } of jobs.slice(0, 100)) must(Number.isSafeInteger(pid), `is job ${pid}`);
      },
    },
  ),
  ofText('os/darwin/text/ps.ts parsePs', psText, parsePs, {
    holds: (processes) => {
      for (const { startedAtMs } of processes.slice(0, 100)) must(Number.isFinite(startedAtMs), 'has no start');
    },
  }),
];
