import { formatIpv6 } from '../../../model/address.ts';
import { littleEndian } from '../../byte-order.ts';
import type { DiagSocket } from '../netlink/sock-diag.ts';
import { stateNames } from '../netlink/sock-diag.ts';
import type { Proc } from './proc.ts';

/** About 400,000 sockets. */
const tableLimit = 67_108_864;

/** idiag_timer of a TIME_WAIT structure; the time left is in hundredths of a second (jiffies_delta_to_clock_t). */
const timeWaitTimer = 3;
const msPerTick = 10;

const line =
  /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{2}) [0-9A-F]{8}:[0-9A-F]{8} ([0-9A-F]{2}):([0-9A-F]{8}) [0-9A-F]{8}\s+(\d+)\s+\d+ (\d+)/;

/** What a table holds; `garbled` counts lines that do not read as the manual says, `cut` tells that it was longer than we read. */
export interface ProcNetTable {
  readonly rows: readonly DiagSocket[];
  readonly garbled: number;
  readonly cut: boolean;
}

/**
 * Reads both families of a protocol. @param port Null for every port.
 *
 * @throws {ProcError} when the IPv4 table cannot be read; a machine without IPv6 has no second one.
 */
export function readProcNet(proc: Proc, protocol: 'tcp' | 'udp', port: number | null): ProcNetTable {
  const first = parseTable(proc.read(`net/${protocol}`, tableLimit), protocol, port);
  let text: Buffer;
  try {
    text = proc.read(`net/${protocol}6`, tableLimit);
  } catch {
    return first;
  }
  const second = parseTable(text, protocol, port);
  return {
    rows: [...first.rows, ...second.rows],
    garbled: first.garbled + second.garbled,
    cut: first.cut || second.cut,
  };
}

/** Parses one table. */
export function parseTable(bytes: Buffer, protocol: 'tcp' | 'udp', port: number | null): ProcNetTable {
  const rows: DiagSocket[] = [];
  let garbled = 0;
  const wanted = port === null ? null : `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  for (const text of bytes.toString('latin1').split('\n').slice(1)) {
    if (text === '' || (wanted !== null && !text.includes(wanted))) continue;
    const row = parseLine(text, protocol);
    if (row === null) garbled++;
    else if (port === null || row.local.port === port) rows.push(row);
  }
  return { rows, garbled, cut: bytes.length >= tableLimit };
}

function parseLine(text: string, protocol: 'tcp' | 'udp'): DiagSocket | null {
  const found = line.exec(text);
  if (found === null) return null;
  const [
    ,
    local = '',
    localPort = '',
    remote = '',
    remotePort = '',
    stateHex = '',
    timer = '',
    when = '',
    uid,
    inodeText,
  ] = found;
  const state = stateNames[Number.parseInt(stateHex, 16)];
  if (state === undefined || local.length !== remote.length) return null;
  const inode = Number(inodeText);
  const family = local.length === 8 ? 4 : 6;
  const mini = Number.parseInt(timer, 16) === timeWaitTimer && inode === 0;
  const peerPort = Number.parseInt(remotePort, 16);
  return {
    protocol,
    family,
    state,
    local: { address: parseAddress(local), port: Number.parseInt(localPort, 16) },
    remote: peerPort === 0 ? null : { address: parseAddress(remote), port: peerPort },
    uid: Number(uid),
    inode,
    reuseAddress: null,
    reusePort: null,
    v6Only: family === 4 ? false : null,
    deviceIndex: 0,
    autoPort: null,
    expiresInMs: mini ? Number.parseInt(when, 16) * msPerTick : null,
    // The waiting connections are there, how many may wait is not.
    queue: null,
    direction: null,
    linux: { cookie: null, mini, cgroupId: null, mptcp: false },
  };
}

/** Addresses are printed as 32-bit words of the machine's byte order. */
function parseAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (littleEndian) bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  return formatIpv6(Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index)));
}
