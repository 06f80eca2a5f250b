/**
 * Binds everything that Linux may refuse, in a network namespace of its own, and compares the order of errors with the
 * rules over what was read. Prints one JSON document.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BindOptions, Endpoint, Request } from '../../src/model/endpoint.ts';
import { linux as rules } from '../../src/model/rules/linux.ts';
import { isNativeError } from '../../src/os/errors.ts';
import { linux } from '../../src/os/linux/index.ts';
import { addLink, loopbackUp } from './link.ts';

interface Outcome {
  readonly asked: string;
  readonly kernel: string;
  readonly possible: readonly string[];
}

const { sockets } = linux;
const outcomes: Outcome[] = [];

loopbackUp();
const devices = [null, 'lo', ...(addLink('v0') ? ['v0'] : []), 'nope'];
const linkLocal = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .filter((entry) => entry.family === 'IPv6' && entry.address.startsWith('fe80:'))
  .map((entry) => entry.address);
const v4 = ['0.0.0.0', '127.0.0.1', '127.5.5.5', '203.0.113.9', '255.255.255.255', '224.0.0.1'];
const v6 = [
  ...[
    '::',
    '::1',
    '2001:db8::1',
    '::ffff:127.0.0.1',
    '::ffff:203.0.113.9',
    '::ffff:0.0.0.0',
    'ff02::1',
    'ff05::1',
    'ff02::1%lo',
  ],
  ...[
    '::1%nope',
    '2001:db8::1%nope',
    'ff02::1%nope',
    'fe80::1',
    'fe80::1%lo',
    'fe80::1%nope',
    ...linkLocal,
    ...linkLocal.map((address) => `${address}%v0`),
  ],
];

// Somebody has a privileged port, and one that is not, so that EACCES and EADDRINUSE can meet.
const taken = [80, 12_345].map((port) => {
  const fd = sockets.open('tcp', 4);
  sockets.bind(fd, { protocol: 'tcp', address: '0.0.0.0', port });
  sockets.listen(fd, 1);
  return fd;
});
play();
// For good: access(2), which tells whether a Unix socket can be made, asks for the real user.
if (process.getuid?.() === 0 && become(1000)) play();
for (const fd of taken) sockets.close(fd);
process.stdout.write(JSON.stringify(outcomes));

function play(): void {
  const uid = process.geteuid?.() ?? 0;
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const address of linux.readSettings().ipv6 ? [...v4, ...v6] : v4) {
      for (const port of [80, 81, 12_345, 12_346]) {
        for (const device of devices) {
          for (const v6Only of address.includes(':') ? [false, true] : [false]) {
            inet({ protocol, address, port }, { reuseAddress: true, reusePort: false, v6Only, device }, uid);
          }
        }
      }
    }
  }
  unix(uid);
}

function inet(endpoint: Endpoint, options: BindOptions, uid: number): void {
  const request: Request = { endpoint, options };
  const facts = linux.readFacts(request, { holders: 'none' });
  const probe = linux.probe(request);
  if (probe === null) throw new Error('No answer of the kernel');
  note(`uid ${uid} ${JSON.stringify(request)}`, probe.errno, rules.predict(request, facts).possible);
}

function unix(uid: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-live-'));
  try {
    const inside = (name: string): string => join(folder, name);
    const live = listenAt(inside('live'));
    sockets.close(listenAt(inside('stale')));
    const removed = listenAt(inside('removed'));
    rmSync(inside('removed'));
    writeFileSync(inside('file'), '');
    mkdirSync(inside('closed'));
    chmodSync(inside('closed'), 0o500);
    const name = `\0rebind-live-${process.pid}-${uid}`;
    const abstract = listenAt(name);
    const connected = listenAt(`${name}-gone`);
    const client = sockets.open('unix', 4);
    sockets.connect(client, { protocol: 'unix', path: `${name}-gone` });
    const child = sockets.accept(connected);
    sockets.close(connected);
    const paths = ['live', 'stale', 'removed', 'file', 'closed', 'closed/x', 'none/x', 'file/x', 'free'];
    // A path that is too long is no question of the kernel: what this Node makes of it is, and has tests of its own.
    for (const path of [...paths.map(inside), name, `${name}-gone`, `${name}-free`]) {
      const request: Request = {
        endpoint: { protocol: 'unix', path },
        options: { reuseAddress: true, reusePort: false, v6Only: false, device: null },
      };
      const facts = linux.readFacts(request, { holders: 'none' });
      note(`uid ${uid} ${JSON.stringify(path)}`, bindUnix(path), rules.predict(request, facts).possible);
    }
    for (const fd of [live, removed, abstract, client, ...(child === null ? [] : [child])]) sockets.close(fd);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function listenAt(path: string): number {
  const fd = sockets.open('unix', 4);
  sockets.bind(fd, { protocol: 'unix', path });
  sockets.listen(fd, 4);
  return fd;
}

function bindUnix(path: string): string | null {
  const fd = sockets.open('unix', 4);
  try {
    sockets.bind(fd, { protocol: 'unix', path });
    if (!path.startsWith('\0')) rmSync(path);
    return null;
  } catch (error) {
    if (isNativeError(error)) return error.code;
    throw error;
  } finally {
    sockets.close(fd);
  }
}

function note(asked: string, kernel: string | null, possible: readonly (string | null)[]): void {
  outcomes.push({ asked, kernel: kernel ?? 'ok', possible: possible.map((outcome) => outcome ?? 'ok') });
}

function become(uid: number): boolean {
  try {
    process.setuid?.(uid);
    return true;
  } catch {
    // A user namespace with one user.
    return false;
  }
}
