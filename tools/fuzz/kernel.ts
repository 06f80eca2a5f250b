/**
 * What the kernel says: netlink, structures, and the files of /proc. Much of its text is chosen by processes.
 */
import { isIpv4, isIpv6 } from '../../src/model/address.ts';
import { isNativeError, NativeError } from '../../src/os/errors.ts';
import { readControl } from '../../src/os/linux/calls/descriptors.ts';
import { parse as parseInotify } from '../../src/os/linux/calls/inotify.ts';
import { decodeSockaddr } from '../../src/os/linux/calls/sockaddr.ts';
import { addressesFrom } from '../../src/os/linux/netlink/addresses.ts';
import { eachAttribute } from '../../src/os/linux/netlink/attributes.ts';
import { decodeAnswer } from '../../src/os/linux/netlink/destroy.ts';
import { type Conversation, NetlinkError } from '../../src/os/linux/netlink/netlink.ts';
import { type DiagSocket, decodeSocket, readSockets, stateBits } from '../../src/os/linux/netlink/sock-diag.ts';
import { decodeUnixSocket, readUnixInodes, readUnixSockets } from '../../src/os/linux/netlink/unix-diag.ts';
import { cgroup2Mount, describeCgroups, outsideOf, parseCgroupPaths } from '../../src/os/linux/proc/cgroup.ts';
import { hidesProcesses } from '../../src/os/linux/proc/gaps.ts';
import { inodeOf } from '../../src/os/linux/proc/open-sockets.ts';
import { type Proc, ProcError } from '../../src/os/linux/proc/proc.ts';
import { parseFibTrie, parseIfInet6, parseRoutes } from '../../src/os/linux/proc/proc-addresses.ts';
import { parseTable } from '../../src/os/linux/proc/proc-net.ts';
import { openDescriber, parseArgv, parsePasswd } from '../../src/os/linux/proc/process.ts';
import { parseRange, parseRanges } from '../../src/os/linux/proc/settings.ts';
import { parseStat } from '../../src/os/linux/proc/stat.ts';
import { parseUnixTable } from '../../src/os/linux/proc/unix-sockets.ts';
import { isMapped } from '../../src/os/linux/proc/unmapped.ts';
import { accepts } from '../../src/os/linux/proc/waiting.ts';
import { tcpInfo } from '../../src/os/linux/tcp-info.ts';
import { decodeValue, optionNames } from '../../src/os/options.ts';
import type { Random } from '../../test/live/random.ts';
import { damagedBytes, damagedText } from './mutate.ts';
import { must, ofBytes, ofText, type Parser, parser } from './parser.ts';
import {
  addressAnswers,
  cgroups,
  controls,
  destroyAnswers,
  fdinfo,
  fibTrie,
  ifInet6,
  inetAnswers,
  inetBodies,
  inotify,
  mountinfo,
  port,
  recorded,
  recordedBytes,
  routes,
  sockaddrs,
  unixAnswers,
  unixBodies,
} from './samples.ts';

/** A datagram of netlink is never longer (netlink-socket.ts). */
const mostDatagram = 65_536;
/** A file of /proc that is read whole. */
const mostFile = 65_536;
const mostMounts = 4_194_304;

const isKernels = (error: unknown): boolean => isNativeError(error) || error instanceof NetlinkError;

/** A kernel whose one datagram was damaged, and that has nothing more to say. Half of them carry the number of the question. */
function kernelOf(datagram: Buffer): Conversation {
  const answering = datagram.length % 8 !== 7;
  let left: Buffer | undefined;
  return {
    send(request) {
      left = Buffer.from(datagram);
      if (!answering) return;
      for (let at = 0; at + 16 <= left.length; ) {
        request.copy(left, at + 8, 8, 12);
        const length = left.readUInt32LE(at);
        at += length < 16 || length > left.length ? left.length : (length + 3) & ~3;
      }
    },
    receive() {
      const next = left;
      left = undefined;
      // EAGAIN
      if (next === undefined) throw new NativeError('recv', 11);
      return next;
    },
  };
}

function rightSockets(rows: readonly DiagSocket[]): void {
  for (const { local, remote, family } of rows.slice(0, 100)) {
    for (const one of [local, ...(remote === null ? [] : [remote])]) {
      must(family === 4 ? isIpv4(one.address) : isIpv6(one.address), `has the address ${one.address}`);
      must(one.port >= 0 && one.port <= 65_535, `has the port ${one.port}`);
    }
  }
}

function rightAddresses(all: readonly { readonly address: string }[]): void {
  for (const { address } of all.slice(0, 100))
    must(isIpv4(address) || /^[0-9a-f:.]+(%|$)/.test(address), `has ${address}`);
}

/** A /proc of one process whose every file was damaged. */
function damagedProc(random: Random): Proc & { readonly files: Map<string, string> } {
  const files = new Map<string, string>();
  const samplesFor = (path: string): readonly string[] => {
    if (path.endsWith('mountinfo')) return mountinfo;
    if (path.endsWith('cgroup')) return cgroups;
    if (path.includes('fdinfo')) return fdinfo;
    if (path.endsWith('syscall'))
      return ['288 0x3 0x0 0x0 0x80800 0x0 0x0 0x7ffc 0x7f\n', 'running\n', '-1 0x7ffc 0x7f\n', '43 0x3 0x0\n'];
    if (path.endsWith('uptime')) return ['12345.67 23456.78\n'];
    const found = recorded(path.slice(path.indexOf('/')));
    return found.length === 0 ? [''] : found;
  };
  const text = (path: string): string => {
    let content = files.get(path);
    if (content === undefined) {
      content = damagedText(random, samplesFor(path), mostFile);
      files.set(path, content);
    }
    if (random.below(20) === 0) throw new ProcError(path, { code: random.pick(['EACCES', 'ENOENT', 'ESRCH']) });
    return content;
  };
  return {
    root: '/nowhere',
    files,
    text,
    read: (path) => Buffer.from(text(path), 'latin1'),
    link: (path) =>
      path.includes('/fd/')
        ? random.pick(['anon_inode:[eventpoll]', 'socket:[11419]', 'socket:[x]', '/dev/null'])
        : damagedText(random, ['/srv/shop', 'pid:[4026531836]'], 4_096),
    list: () => random.pick([['0', '3', '17'], ['41'], ['x', ''], []]),
    owner: () => 1000,
    threads: () => random.below(3),
    pids: () => [1, 41],
  };
}

/** A /proc without anything. */
const none: Proc = {
  root: '/nowhere',
  read: () => Buffer.alloc(0),
  text: () => '',
  link: () => '',
  list: () => [],
  owner: () => 0,
  threads: () => 1,
  pids: () => [],
};

export const kernelParsers: readonly Parser[] = [
  ofBytes(
    'os/linux/netlink/attributes.ts eachAttribute',
    [...inetBodies, ...unixBodies].map((body) => body.subarray(16)),
    (bytes) => {
      const types: number[] = [];
      eachAttribute(bytes, 0, (type) => types.push(type));
      return types;
    },
    { throws: isKernels, most: mostDatagram },
  ),
  ofBytes('os/linux/netlink/sock-diag.ts decodeSocket', inetBodies, (body) => decodeSocket(body, 'tcp'), {
    throws: isKernels,
    most: mostDatagram,
    holds: (row) => rightSockets([row]),
  }),
  ...(['tcp', 'udp'] as const).map((protocol) =>
    ofBytes(
      `os/linux/netlink/sock-diag.ts readSockets of ${protocol}`,
      inetAnswers,
      (bytes) => readSockets(kernelOf(bytes), { protocol, states: stateBits.all, port: null }),
      { throws: isKernels, most: mostDatagram, holds: ({ rows }) => rightSockets(rows) },
    ),
  ),
  ofBytes('os/linux/netlink/unix-diag.ts decodeUnixSocket', unixBodies, decodeUnixSocket, {
    throws: isKernels,
    most: mostDatagram,
    holds: (row) => must(row === null || row.name[0] === 0 || !row.name.includes(0), 'has a NUL byte in its path'),
  }),
  ofBytes('os/linux/netlink/unix-diag.ts readUnixSockets', unixAnswers, (bytes) => readUnixSockets(kernelOf(bytes)), {
    throws: isKernels,
    most: mostDatagram,
  }),
  ofBytes('os/linux/netlink/unix-diag.ts readUnixInodes', unixAnswers, (bytes) => readUnixInodes(kernelOf(bytes)), {
    throws: isKernels,
    most: mostDatagram,
  }),
  ofBytes(
    'os/linux/netlink/addresses.ts addressesFrom',
    addressAnswers,
    (bytes) => addressesFrom(kernelOf(bytes), (index) => `eth${index}`),
    { throws: isKernels, most: mostDatagram, holds: rightAddresses },
  ),
  ofBytes('os/linux/netlink/destroy.ts decodeAnswer', destroyAnswers, decodeAnswer, {
    throws: isKernels,
    most: 4_096,
    holds: (errno) => must(errno >= 0 && errno < 4_096, `is the errno ${errno}`),
  }),
  parser(
    'os/linux/calls/sockaddr.ts decodeSockaddr',
    (random) => {
      const bytes = Buffer.alloc(128);
      damagedBytes(random, sockaddrs, 128).copy(bytes);
      return { bytes, length: 2 + random.below(127) };
    },
    ({ bytes, length }) => decodeSockaddr(bytes, length, 'tcp'),
    { holds: (one) => must(one.protocol === 'unix' || (one.port >= 0 && one.port <= 65_535), 'has no port') },
  ),
  ofBytes('os/linux/calls/descriptors.ts readControl', controls, readControl, {
    most: 4_096,
    holds: ({ descriptors, sender }, bytes) => {
      must(descriptors.length <= bytes.length / 4, 'has more descriptors than bytes');
      must(sender === null || sender.uid >= 0, 'has a uid that is none');
    },
  }),
  ofBytes('os/linux/calls/inotify.ts parse', inotify, parseInotify, { most: mostFile }),
  ofBytes(
    'os/linux/tcp-info.ts tcpInfo.decode',
    [Buffer.alloc(152, 7), Buffer.alloc(104)],
    (bytes) => tcpInfo.decode(bytes),
    {
      most: 512,
    },
  ),
  parser(
    'os/options.ts decodeValue',
    (random) => ({
      name: random.pick(optionNames),
      bytes: damagedBytes(random, [Buffer.alloc(4, 1), Buffer.alloc(16, 7), Buffer.from('eth0\0')], 512),
    }),
    ({ name, bytes }) => decodeValue(name, bytes),
  ),
  ofText('os/linux/proc/stat.ts parseStat', recorded('/stat'), parseStat, {
    most: mostFile,
    holds: (stat) => must(stat === null || /^\d+$/.test(stat.started), 'has no start'),
  }),
  ofBytes('os/linux/proc/process.ts parseArgv', recordedBytes('/cmdline'), parseArgv, { most: mostFile }),
  ofText(
    'os/linux/proc/process.ts parsePasswd',
    ['root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:\n'],
    parsePasswd,
  ),
  ofText('os/linux/proc/cgroup.ts parseCgroupPaths', cgroups, parseCgroupPaths, { most: mostFile }),
  ofText(
    'os/linux/proc/cgroup.ts describeCgroups',
    cgroups,
    (text) => {
      const paths = parseCgroupPaths(text);
      return describeCgroups(paths, outsideOf(paths, paths));
    },
    {
      most: mostFile,
      holds: ({ unit }) => must(unit === null || /\.(service|socket)$/.test(unit), `has the unit ${unit}`),
    },
  ),
  parser('os/linux/proc/process.ts openDescriber', damagedProc, (proc) => openDescriber(proc, () => '').describe(41), {
    holds: (one) =>
      must(one === null || (one.pid === 41 && one.uid >= 0 && one.parents.length <= 256), 'is no process'),
  }),
  parser(
    'os/linux/proc/waiting.ts accepts',
    damagedProc,
    (proc) => accepts(proc, { pid: 41, place: '41' }, 11_419, [3]),
    {
      holds: (answer) => must(answer === null || typeof answer === 'boolean', 'is no answer'),
    },
  ),
  parser('os/linux/proc/gaps.ts hidesProcesses', damagedProc, hidesProcesses),
  ofText('os/linux/proc/cgroup.ts cgroup2Mount', mountinfo, (text) => cgroup2Mount({ ...none, text: () => text }), {
    most: mostMounts,
  }),
  ...(['tcp', 'udp'] as const).flatMap((protocol) =>
    [null, port].map((wanted) =>
      ofBytes(
        `os/linux/proc/proc-net.ts parseTable of ${protocol}${wanted === null ? '' : ', one port'}`,
        [...recordedBytes(`net/${protocol}`), ...recordedBytes(`net/${protocol}6`)],
        (bytes) => parseTable(bytes, protocol, wanted),
        { holds: ({ rows }) => rightSockets(rows) },
      ),
    ),
  ),
  ofBytes('os/linux/proc/unix-sockets.ts parseUnixTable', recordedBytes('net/unix'), parseUnixTable, {
    holds: (rows) =>
      must(
        rows.slice(0, 100).every(({ name }) => name.length > 0),
        'has no name',
      ),
  }),
  ofText(
    'os/linux/proc/proc-addresses.ts parseFibTrie',
    fibTrie,
    (text) => parseFibTrie(text, parseRoutes(routes[0] ?? '')),
    {
      most: mostMounts,
      holds: rightAddresses,
    },
  ),
  ofText('os/linux/proc/proc-addresses.ts parseRoutes', routes, parseRoutes, { most: mostMounts }),
  ofText('os/linux/proc/proc-addresses.ts parseIfInet6', ifInet6, parseIfInet6, {
    most: mostMounts,
    holds: rightAddresses,
  }),
  ofText('os/linux/proc/settings.ts parseRange', ['32768\t60999'], parseRange, {
    holds: (range) => rightPorts(range ?? []),
  }),
  ofText('os/linux/proc/settings.ts parseRanges', ['8080,9148,10000-10100'], parseRanges, {
    holds: (ranges) => rightPorts(ranges.slice(0, 100).flat()),
  }),
  ofText('os/linux/proc/unmapped.ts isMapped', ['         0          0 4294967295\n', '0 100000 65536\n'], (text) =>
    isMapped(text, 65_534),
  ),
  ofText('os/linux/proc/open-sockets.ts inodeOf', ['socket:[11419]', 'pipe:[4]', '[0000]:11419'], inodeOf, {
    most: 4_096,
    holds: (inode) => must(inode === null || (Number.isSafeInteger(inode) && inode >= 0), `is the inode ${inode}`),
  }),
];

function rightPorts(ports: readonly number[]): void {
  for (const one of ports) must(one >= 0 && one <= 65_535, `has the port ${one}`);
}
