/** Prepares the links of a new network namespace by rtnetlink(7), so that no tool has to be installed. */
import { libc } from '../../src/os/linux/calls/libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const RTM_NEWLINK = 16;
const NLM_F_REQUEST_ACK = 5;
const NLM_F_CREATE_EXCL = 0x600;
const IFF_UP = 1;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;

/** Turns `lo` on. */
export function loopbackUp(): void {
  const errno = request(message(1, 0, Buffer.alloc(0)));
  if (errno !== 0) throw new Error(`Cannot turn lo on: errno ${errno}`);
}

/** Makes a link that leads nowhere and turns it on. False when the kernel has none of the kinds that could. */
export function addLink(name: string): boolean {
  return ['dummy', 'bridge', 'veth'].some((kind) => add(name, kind));
}

function add(name: string, kindName: string): boolean {
  const kind = attribute(IFLA_INFO_KIND, Buffer.from(kindName));
  const attributes = Buffer.concat([attribute(IFLA_IFNAME, Buffer.from(`${name}\0`)), attribute(IFLA_LINKINFO, kind)]);
  return request(message(0, NLM_F_CREATE_EXCL, attributes)) === 0;
}

function message(index: number, flags: number, attributes: Buffer): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(32 + attributes.length, 0);
  head.writeUInt16LE(RTM_NEWLINK, 4);
  head.writeUInt16LE(NLM_F_REQUEST_ACK | flags, 6);
  head.writeUInt32LE(1, 8);
  head.writeInt32LE(index, 20);
  head.writeUInt32LE(IFF_UP, 24);
  head.writeUInt32LE(IFF_UP, 28);
  return Buffer.concat([head, attributes]);
}

function attribute(type: number, value: Buffer): Buffer {
  const padded = Buffer.alloc((4 + value.length + 3) & ~3);
  padded.writeUInt16LE(4 + value.length, 0);
  padded.writeUInt16LE(type, 2);
  value.copy(padded, 4);
  return padded;
}

/** Sends it and returns the errno of the acknowledgement. */
function request(bytes: Buffer): number {
  const c = libc();
  const fd = c.socket(AF_NETLINK, SOCK_RAW, 0);
  try {
    if (c.sendto(fd, bytes, bytes.length, 0, null, 0) < 0) throw new Error(`sendto failed: errno ${c.errno()}`);
    const answer = Buffer.alloc(4096);
    if (c.recv(fd, answer, answer.length, 0) < 20) throw new Error('no acknowledgement');
    return -answer.readInt32LE(16);
  } finally {
    c.close(fd);
  }
}
