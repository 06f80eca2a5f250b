/**
 * A libSystem in TypeScript: processes, sockets and descriptors of a Mac that is made up, answered in the structures of the real one. What it
 * allows and refuses is what the sources of xnu say (research cited in src/os/darwin); binds go by the rules that the vectors prove.
 */
import type { InetSocket, Settings } from '../../../src/model/facts.ts';
import { searches } from '../../../src/model/rules/darwin-conflict.ts';
import { darwinRefusals } from '../../../src/model/rules/darwin-refusal.ts';
import type { Binder } from '../../../src/model/rules/rules.ts';
import { openDarwin } from '../../../src/os/darwin/index.ts';
import type { Fields, Structure } from '../../../src/os/darwin/layout.ts';
import {
  kevent64,
  kinfoProc,
  procBsdshortinfo,
  procFdinfo,
  procFileportinfo,
  procUniqidentifierinfo,
  procVnodepathinfo,
  socketFdinfo,
  xinpcbN,
  xinpgen,
  xsocketN,
  xtcpcbN,
  xunpcb64,
  xunpgen,
} from '../../../src/os/darwin/layouts.ts';
import type { LibSystem } from '../../../src/os/darwin/lib-system.ts';
import { machine } from '../../../src/os/darwin/mac.ts';
import { errnoNames, signalNumbers } from '../../../src/os/darwin/numbers.ts';
import { decodeSockaddr, encodeSockaddr } from '../../../src/os/darwin/sockaddr.ts';
import type { Ran } from '../../../src/os/darwin/text/run.ts';
import { UnsupportedError } from '../../../src/os/errors.ts';
import type { Os } from '../../../src/os/os.ts';

/** One process of the Mac. */
export interface FakeProcess {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  readonly command: string;
  readonly argv: readonly string[];
  readonly path: string;
  readonly environment: readonly string[];
  readonly cwd: string;
  readonly startedAtMs: number;
  readonly session: number;
  readonly terminal: number;
  uniqueId: bigint;
  version: number;
  isStopped: boolean;
  /** What it does with a signal; the default ends it. */
  readonly onSignal?: (signal: number, mac: FakeMac) => void;
}

/** One socket, newest first in the list of the Mac. */
export interface FakeSocket {
  readonly id: bigint;
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly family: 4 | 6;
  readonly uid: number;
  local: { address: string; port: number };
  remote: { address: string; port: number } | null;
  state: InetSocket['state'];
  reuseAddress: boolean;
  reusePort: boolean;
  v6Only: boolean;
  isAutomatic: boolean;
  lastPid: number;
  readonly userSpace: boolean;
  /** How long a TIME_WAIT lasts still. */
  readonly leftMs: number;
  sharesUsers: boolean;
}

/** The addresses of the Mac. */
const settings: Settings = {
  automaticPorts: null,
  reservedPorts: [],
  firstUnprivilegedPort: null,
  mayBindPrivileged: null,
  mayAdministerNetwork: null,
  ipv6: true,
  nonlocalBind: { v4: false, v6: false },
  localAddresses: [
    { address: '127.0.0.1', device: 'lo0' },
    { address: '::1', device: 'lo0' },
    { address: 'fe80::1', device: 'lo0' },
    { address: '192.0.2.7', device: 'en0' },
  ],
};

type Numbers<T> = { -readonly [name in keyof T]?: number | bigint | Buffer | string };

const E = Object.fromEntries(Object.entries(errnoNames).map(([number, name]) => [name, Number(number)])) as Record<
  string,
  number
>;

const states = [
  'BOUND',
  'LISTEN',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'CLOSE_WAIT',
  'FIN_WAIT1',
  'CLOSING',
  'LAST_ACK',
  'FIN_WAIT2',
  'TIME_WAIT',
];

/** TCP's clock of this Mac, in milliseconds. */
const tcpNow = 5_000_000;

export interface FakeOptions {
  /** @default 24.5.0: macOS 15.5 */
  readonly kernel?: string;
  /** The user who runs rebind. @default 501 */
  readonly uid?: number;
  /** False takes koffi away. */
  readonly native?: boolean;
  /** What the programs of the system print. */
  readonly run?: (program: string, args: readonly string[]) => Ran;
}

export class FakeMac {
  readonly processes = new Map<number, FakeProcess>();
  sockets: FakeSocket[] = [];
  readonly descriptors = new Map<number, Map<number, FakeSocket>>();
  readonly fileports = new Map<number, FakeSocket[]>();
  readonly users = new Map<number, string>([
    [0, 'root'],
    [501, 'ann'],
    [502, 'ben'],
  ]);
  /** Every signal that was sent, and how. */
  readonly signals: { readonly pid: number; readonly signal: number; readonly by: 'token' | 'pid' }[] = [];
  readonly uid: number;
  readonly kernel: string;
  /** Called before each call of libSystem by its name. */
  onCall: (name: string) => void = () => {};
  readonly #options: FakeOptions;
  readonly #queues = new Map<number, { pid: number; uniqueId: bigint; fired: boolean }>();
  readonly #watches = new Map<number, () => void>();
  #next = 1_000n;
  #fd = 1_000;
  #errno = 0;

  constructor(options: FakeOptions = {}) {
    this.#options = options;
    this.kernel = options.kernel ?? '24.5.0';
    this.uid = options.uid ?? 501;
    this.process({ pid: 1, parent: 0, uid: 0, command: 'launchd', path: '/sbin/launchd', cwd: '/' });
    this.process({
      pid: process.ppid,
      parent: 1,
      uid: this.uid,
      command: 'zsh',
      path: '/bin/zsh',
      terminal: 0x1000001,
    });
    this.process({
      pid: process.pid,
      parent: process.ppid,
      uid: this.uid,
      command: 'node',
      path: '/usr/local/bin/node',
      terminal: 0x1000001,
    });
  }

  get darwin(): number {
    return Number.parseInt(this.kernel, 10);
  }

  process(one: Partial<FakeProcess> & Pick<FakeProcess, 'pid'>): FakeProcess {
    const path = one.path ?? `/usr/local/bin/${one.command ?? 'node'}`;
    const full: FakeProcess = {
      parent: 1,
      uid: this.uid,
      command: path.slice(path.lastIndexOf('/') + 1),
      argv: one.argv ?? [path],
      environment: [],
      cwd: '/Users/ann/shop',
      startedAtMs: 1_790_000_000_000,
      session: one.terminal === undefined ? one.pid : process.ppid,
      terminal: -1,
      uniqueId: this.#next++,
      version: Number(this.#next++),
      isStopped: false,
      ...one,
      path,
    };
    this.processes.set(full.pid, full);
    this.descriptors.set(full.pid, new Map());
    return full;
  }

  /** A socket that a process has open; newest first. `fd: null` gives it to nobody, `'fileport'` to launchd's ports. */
  socket(
    owner: FakeProcess | null,
    one: Partial<Omit<FakeSocket, 'local' | 'remote'>> & {
      readonly at: string;
      readonly port: number;
      readonly from?: string;
    },
    how: 'descriptor' | 'fileport' | 'none' = owner === null ? 'none' : 'descriptor',
  ): FakeSocket {
    const { at, port, from, ...rest } = one;
    const peer = from === undefined ? null : /^(.*):(\d+)$/.exec(from);
    const socket: FakeSocket = {
      id: this.#next++,
      protocol: 'tcp',
      family: at.includes(':') ? 6 : 4,
      uid: owner?.uid ?? this.uid,
      local: { address: at, port },
      remote: peer === null ? null : { address: peer[1] ?? '', port: Number(peer[2]) },
      state: 'LISTEN',
      reuseAddress: true,
      reusePort: false,
      v6Only: false,
      isAutomatic: false,
      lastPid: owner?.pid ?? 0,
      userSpace: false,
      leftMs: 20_000,
      sharesUsers: false,
      ...rest,
    };
    this.sockets.unshift(socket);
    if (owner !== null && how === 'descriptor') this.descriptors.get(owner.pid)?.set(this.#nextFd(owner.pid), socket);
    if (owner !== null && how === 'fileport')
      this.fileports.set(owner.pid, [...(this.fileports.get(owner.pid) ?? []), socket]);
    return socket;
  }

  #nextFd(pid: number): number {
    return pid === process.pid ? ++this.#fd : 20 + (this.descriptors.get(pid)?.size ?? 0);
  }

  /** Its sockets are closed, and what was accepted stays in TIME_WAIT, as on a Mac. */
  exit(pid: number): void {
    const one = this.processes.get(pid);
    if (one === undefined) return;
    this.processes.delete(pid);
    const held = new Set(this.descriptors.get(pid)?.values());
    this.descriptors.delete(pid);
    const still = new Set([...this.descriptors.values()].flatMap((table) => [...table.values()]));
    this.sockets = this.sockets.filter((socket) => !held.has(socket) || still.has(socket));
    for (const [kq, queue] of this.#queues) {
      if (queue.uniqueId !== one.uniqueId || queue.fired) continue;
      queue.fired = true;
      for (const [fd, watched] of this.#copies) if (watched === kq) setImmediate(() => this.#watches.get(fd)?.());
    }
  }

  readonly #copies = new Map<number, number>();

  /** The Mac as an operating system of rebind. */
  os(): Os {
    const lib = this.lib();
    const missing = this.#options.native === false;
    return openDarwin(
      machine(
        this.kernel,
        () => {
          if (!missing) return lib;
          throw new UnsupportedError('Cannot load koffi, which makes the system calls: there is no binary');
        },
        (program, args) => this.#options.run?.(program, args) ?? { why: 'ENOENT' },
        () => this.uid,
        () => settings,
      ),
    );
  }

  #fail(errno: number): -1 {
    this.#errno = errno;
    return -1;
  }

  /** What proc_security_policy of bsd/kern/proc_info.c lets a user see. */
  #mayLookInto(pid: number): boolean {
    return this.uid === 0 || this.processes.get(pid)?.uid === this.uid;
  }

  #own(fd: number): FakeSocket | undefined {
    return this.descriptors.get(process.pid)?.get(fd);
  }

  lib(): LibSystem {
    const named =
      <A extends readonly unknown[], R>(name: string, call: (...args: A) => R) =>
      (...args: A): R => {
        this.onCall(name);
        return call(...args);
      };
    const unwritten = (name: string) =>
      named(name, (..._args: readonly unknown[]): number => {
        throw new Error(`${name} is not in the fake libSystem`);
      });
    return {
      errno: () => this.#errno,
      clearErrno: () => {
        this.#errno = 0;
      },
      uptimeNs: () => 1_000_000_000_000n,
      sysctlbyname: named('sysctlbyname', (name, old, length) => this.#sysctl(this.#setting(name), old, length)),
      sysctl: named('sysctl', (mib, old, length) => this.#sysctl(this.#table(mib), old, length)),
      proc_listpids: named('proc_listpids', (_type, _info, buffer, size) => {
        const pids = [...this.processes.keys()];
        if (buffer === null) return pids.length * 4;
        const fit = pids.slice(0, Math.floor(size / 4));
        for (const [index, pid] of fit.entries()) buffer.writeInt32LE(pid, index * 4);
        return fit.length * 4;
      }),
      proc_pidinfo: named('proc_pidinfo', (pid, flavor, _argument, buffer, size) =>
        this.#pidinfo(pid, flavor, buffer, size),
      ),
      proc_pidfdinfo: named('proc_pidfdinfo', (pid, fd, _flavor, buffer, size) => {
        const socket = this.descriptors.get(pid)?.get(fd);
        if (!this.#mayLookInto(pid)) return this.#zero(E['EPERM'] ?? 1);
        return socket === undefined ? this.#zero(E['EBADF'] ?? 9) : this.#put(this.#fdinfo(socket), buffer, size);
      }),
      proc_pidfileportinfo: named('proc_pidfileportinfo', (pid, port, _flavor, buffer, size) => {
        const socket = this.fileports.get(pid)?.[port - 1];
        if (!this.#mayLookInto(pid)) return this.#zero(E['EPERM'] ?? 1);
        return socket === undefined ? this.#zero(E['EBADF'] ?? 9) : this.#put(this.#fdinfo(socket), buffer, size);
      }),
      proc_pidpath: named('proc_pidpath', (pid, buffer) => {
        const path = this.processes.get(pid)?.path;
        if (path === undefined) return this.#zero(E['ESRCH'] ?? 3);
        return buffer.write(path);
      }),
      proc_signal_with_audittoken:
        // 14.2 is Darwin 23.2.
        this.darwin > 23 || (this.darwin === 23 && Number(this.kernel.split('.')[1]) >= 2)
          ? named('proc_signal_with_audittoken', (token, signal) => {
              const pid = token.readUInt32LE(20);
              const one = this.processes.get(pid);
              if (one === undefined || one.version >>> 0 !== token.readUInt32LE(28)) return E['ESRCH'] ?? 3;
              return this.#signal(one, signal, 'token');
            })
          : null,
      kill: named('kill', (pid, signal) => {
        const one = this.processes.get(pid);
        if (one === undefined) return this.#fail(E['ESRCH'] ?? 3);
        const errno = this.#signal(one, signal, 'pid');
        return errno === 0 ? 0 : this.#fail(errno);
      }),
      getsid: named('getsid', (pid) => this.processes.get(pid)?.session ?? this.#fail(E['ESRCH'] ?? 3)),
      user_from_uid: (uid) => this.users.get(uid) ?? null,
      kqueue: named('kqueue', () => {
        const kq = ++this.#fd;
        this.#queues.set(kq, { pid: 0, uniqueId: 0n, fired: false });
        return kq;
      }),
      kevent64: named('kevent64', (kq, changes, _changed, events) => {
        const queue = this.#queues.get(kq);
        if (queue === undefined) return this.#fail(E['EBADF'] ?? 9);
        if (changes !== null) {
          const { ident, filter } = kevent64.of(this.darwin).read(changes);
          const one = this.processes.get(Number(ident));
          if (filter !== -5 || one === undefined) return this.#fail(E['ESRCH'] ?? 3);
          Object.assign(queue, { pid: one.pid, uniqueId: one.uniqueId });
          return 0;
        }
        if (!queue.fired || queue.pid === 0 || events === null) return 0;
        // Read once, as EV_ONESHOT of NOTE_EXIT.
        queue.pid = 0;
        encode(kevent64, this.darwin, { filter: -5, fflags: 0x80000000 }).copy(events);
        return 1;
      }),
      socket: named('socket', (domain, type) => {
        const fd = ++this.#fd;
        const protocol = type === 2 ? 'udp' : 'tcp';
        const family = domain === 30 ? 6 : 4;
        const own = this.processes.get(process.pid) ?? null;
        const socket = this.socket(
          own,
          { protocol, family, at: family === 6 ? '::' : '0.0.0.0', port: 0, state: 'BOUND', reuseAddress: false },
          'none',
        );
        this.descriptors.get(process.pid)?.set(fd, socket);
        return fd;
      }),
      bind: named('bind', (fd, address, length) => this.#bind(fd, address, length)),
      listen: named('listen', (fd) => {
        const socket = this.#own(fd);
        if (socket === undefined) return this.#fail(E['EBADF'] ?? 9);
        socket.state = 'LISTEN';
        return 0;
      }),
      connect: unwritten('connect'),
      accept: unwritten('accept'),
      shutdown: named('shutdown', () => this.#fail(E['ENOTCONN'] ?? 57)),
      close: named('close', (fd) => {
        const socket = this.#own(fd);
        if (socket !== undefined) {
          this.descriptors.get(process.pid)?.delete(fd);
          this.sockets = this.sockets.filter((one) => one !== socket);
          return 0;
        }
        return this.#queues.delete(fd) || this.#copies.delete(fd) ? 0 : this.#fail(E['EBADF'] ?? 9);
      }),
      getsockname: named('getsockname', (fd, address, length) => {
        const socket = this.#own(fd);
        if (socket === undefined) return this.#fail(E['EBADF'] ?? 9);
        const bytes = encodeSockaddr({ protocol: 'tcp', ...socket.local }, this.#interfaces);
        bytes.copy(address);
        length.writeInt32LE(bytes.length, 0);
        return 0;
      }),
      getsockopt: named('getsockopt', (fd, level, name, value, length) => {
        const socket = this.#own(fd);
        if (socket === undefined) return this.#fail(E['EBADF'] ?? 9);
        if (level !== 0xffff || name === 2) return this.#fail(E['ENOPROTOOPT'] ?? 42);
        const answers: Record<number, number> = {
          4: socket.reuseAddress ? 4 : 0,
          512: socket.reusePort ? 0x200 : 0,
          4104: socket.protocol === 'udp' ? 2 : 1,
        };
        value.writeInt32LE(answers[name] ?? 0, 0);
        length.writeInt32LE(4, 0);
        return 0;
      }),
      setsockopt: named('setsockopt', (fd, level, name, value) => {
        const socket = this.#own(fd);
        if (socket === undefined) return this.#fail(E['EBADF'] ?? 9);
        const on = value.readInt32LE(0) !== 0;
        if (level === 0xffff && name === 0x4) socket.reuseAddress = on;
        if (level === 0xffff && name === 0x200) socket.reusePort = on;
        if (level === 41 && name === 27) socket.v6Only = on;
        return 0;
      }),
      fcntl: named('fcntl', (fd, command) => {
        if (command !== 67) return 0;
        const copy = ++this.#fd;
        this.#copies.set(copy, fd);
        return copy;
      }),
      if_nametoindex: (name) => (name === 'lo0' ? 1 : name === 'en0' ? 4 : 0),
      if_indextoname: (index, name) => {
        const found = { 1: 'lo0', 4: 'en0' }[index];
        if (found !== undefined) name.write(`${found}\0`);
        return found !== undefined;
      },
      watch: (fd, onReadable) => {
        this.#watches.set(fd, onReadable);
        const queue = this.#queues.get(this.#copies.get(fd) ?? fd);
        if (queue?.fired) setImmediate(() => this.#watches.get(fd)?.());
        return { close: () => void this.#watches.delete(fd), unref: () => {} };
      },
    };
  }

  readonly #interfaces = { if_nametoindex: () => 0, if_indextoname: () => false };

  #zero(errno: number): 0 {
    this.#errno = errno;
    return 0;
  }

  #put(bytes: Buffer, buffer: Buffer | null, size: number): number {
    if (buffer === null) return bytes.length;
    if (size < bytes.length) return this.#zero(E['ENOMEM'] ?? 12);
    return bytes.copy(buffer);
  }

  #signal(one: FakeProcess, signal: number, by: 'token' | 'pid'): number {
    if (this.uid !== 0 && one.uid !== this.uid) return E['EPERM'] ?? 1;
    this.signals.push({ pid: one.pid, signal, by });
    if (signal === signalNumbers.SIGCONT) one.isStopped = false;
    else if (signal === signalNumbers.SIGKILL) this.exit(one.pid);
    else if (one.onSignal !== undefined) one.onSignal(signal, this);
    else this.exit(one.pid);
    return 0;
  }

  #sysctl(bytes: Buffer | null, old: Buffer | null, length: Buffer): number {
    if (bytes === null) return this.#fail(E['ENOENT'] ?? 2);
    if (old !== null) {
      if (length.readBigUInt64LE(0) < BigInt(bytes.length)) return this.#fail(E['ENOMEM'] ?? 12);
      bytes.copy(old);
    }
    length.writeBigUInt64LE(BigInt(bytes.length), 0);
    return 0;
  }

  #setting(name: string): Buffer | null {
    const numbers: Record<string, number> = {
      'net.inet.ip.portrange.first': 49_152,
      'net.inet.ip.portrange.last': 65_535,
      'net.inet.tcp.msl': 15_000,
      'net.inet.tcp.now_init': tcpNow,
      // Uptime is 1000 s.
      'net.inet.tcp.microuptime_init': 1_000_000_000,
    };
    const number = numbers[name];
    if (number !== undefined) {
      const value = Buffer.alloc(4);
      value.writeInt32LE(number, 0);
      return value;
    }
    const list = /^net\.inet\.(tcp|udp)\.pcblist_n$/.exec(name)?.[1];
    if (list !== undefined) return this.#pcblist(list === 'tcp' ? 'tcp' : 'udp');
    const unix = /^net\.local\.(stream|dgram)\.pcblist64$/.exec(name)?.[1];
    return unix === undefined ? null : this.#unixlist(unix === 'stream');
  }

  #table(mib: readonly number[]): Buffer | null {
    const [, what, third = 0, fourth = 0] = mib;
    if (what === 14) {
      const one = this.processes.get(fourth);
      return one === undefined ? Buffer.alloc(0) : this.#kinfo(one);
    }
    if (what !== 49) return null;
    const one = this.processes.get(third);
    if (one === undefined || !this.#mayLookInto(third)) return this.#fail(E['EINVAL'] ?? 22) && null;
    const head = Buffer.alloc(4);
    head.writeInt32LE(one.argv.length, 0);
    const path = `${one.path}\0`;
    return Buffer.concat([
      head,
      Buffer.from(path + '\0'.repeat((8 - ((path.length + 4) % 8)) % 8)),
      Buffer.from([...one.argv, ...one.environment].map((text) => `${text}\0`).join('')),
    ]);
  }

  #kinfo(one: FakeProcess): Buffer {
    return encode(kinfoProc, this.darwin, {
      tv_sec: BigInt(Math.floor(one.startedAtMs / 1_000)),
      tv_usec: (one.startedAtMs % 1_000) * 1_000,
      p_stat: one.isStopped ? 4 : 2,
      p_pid: one.pid,
      p_comm: one.command.slice(0, 16),
      cr_uid: one.uid,
      e_ppid: one.parent,
      e_pgid: one.pid,
      e_tdev: one.terminal,
      e_tpgid: process.pid,
    });
  }

  #pidinfo(pid: number, flavor: number, buffer: Buffer | null, size: number): number {
    const one = this.processes.get(pid);
    if (one === undefined) return this.#zero(E['ESRCH'] ?? 3);
    const isOpen = flavor === 13 || flavor === 17;
    if (!isOpen && !this.#mayLookInto(pid)) return this.#zero(E['EPERM'] ?? 1);
    const entries = (all: readonly Buffer[]): number => {
      const bytes = Buffer.concat(all);
      if (buffer === null) return bytes.length;
      return bytes.copy(buffer, 0, 0, Math.min(size, bytes.length));
    };
    switch (flavor) {
      case 1:
        return entries(
          [...(this.descriptors.get(pid)?.keys() ?? [])].map((fd) =>
            encode(procFdinfo, this.darwin, { proc_fd: fd, proc_fdtype: 2 }),
          ),
        );
      case 9:
        return this.#put(encode(procVnodepathinfo, this.darwin, { vip_path: one.cwd }), buffer, size);
      case 13:
        return this.#put(
          encode(procBsdshortinfo, this.darwin, {
            pbsi_pid: pid,
            pbsi_ppid: one.parent,
            pbsi_pgid: pid,
            pbsi_comm: one.command.slice(0, 15),
            pbsi_uid: one.uid,
          }),
          buffer,
          size,
        );
      case 14:
        return entries(
          (this.fileports.get(pid) ?? []).map((_, index) =>
            encode(procFileportinfo, this.darwin, { proc_fileport: index + 1, proc_fdtype: 2 }),
          ),
        );
      case 17:
        return this.#put(
          encode(procUniqidentifierinfo, this.darwin, { p_uniqueid: one.uniqueId, p_idversion: one.version >>> 0 }),
          buffer,
          size,
        );
      default:
        return this.#zero(E['EINVAL'] ?? 22);
    }
  }

  #addresses(socket: FakeSocket): { vflag: number; local: Buffer; remote: Buffer } {
    const isIpv4 = socket.family === 4 || socket.local.address.startsWith('::ffff:');
    const isDual = !isIpv4 && socket.local.address === '::' && !socket.v6Only && socket.remote === null;
    return {
      vflag: isIpv4 ? 1 : isDual ? 3 : 2,
      local: bytesOf(socket.local.address, isIpv4),
      remote: socket.remote === null ? Buffer.alloc(16) : bytesOf(socket.remote.address, isIpv4),
    };
  }

  #pcblist(protocol: 'tcp' | 'udp'): Buffer {
    const records: Buffer[] = [];
    const shown = this.sockets.filter((socket) => socket.protocol === protocol);
    // Flows of Network.framework come last.
    for (const socket of [...shown.filter((one) => !one.userSpace), ...shown.filter((one) => one.userSpace)]) {
      const { vflag, local, remote } = this.#addresses(socket);
      const isOwned = [...this.descriptors.values()].some((table) => [...table.values()].includes(socket));
      const isPort = [...this.fileports.values()].flat().includes(socket);
      records.push(
        record(
          0x10,
          encode(xinpcbN, this.darwin, {
            xi_inpp: socket.userSpace ? 0n : socket.id + 0x10000n,
            inp_lport: socket.local.port,
            inp_fport: socket.remote?.port ?? 0,
            inp_gencnt: socket.userSpace ? 0n : socket.id,
            inp_flags: (socket.v6Only ? 0x8000 : 0) | (socket.isAutomatic ? 0x40 : 0),
            inp_vflag: vflag,
            inp_dependladdr: local,
            inp_dependfaddr: remote,
          }),
        ),
        record(
          0x1,
          encode(xsocketN, this.darwin, {
            xso_so: socket.userSpace ? 0n : socket.id + 0x20000n,
            so_type: protocol === 'tcp' ? 1 : 2,
            so_options: socket.userSpace ? 0 : optionsOf(socket),
            so_state: isOwned || isPort || socket.userSpace ? 0 : 1,
            xso_protocol: protocol === 'tcp' ? 6 : 17,
            xso_family: socket.userSpace ? 0 : socket.family === 6 ? 30 : 2,
            so_qlimit: 128,
            so_uid: socket.userSpace ? 0 : socket.uid,
            so_last_pid: socket.lastPid,
            so_flags: socket.sharesUsers ? 0x40 : 0,
          }),
        ),
        // sockbuf and statistics, which nobody reads here.
        record(0x2, Buffer.alloc(32)),
        ...(protocol === 'tcp'
          ? [
              record(
                0x20,
                encode(xtcpcbN, this.darwin, {
                  t_state: states.indexOf(socket.state),
                  t_timer_2msl: (tcpNow + socket.leftMs) >>> 0,
                }),
              ),
            ]
          : []),
      );
    }
    const head = encode(xinpgen, this.darwin, { xig_len: 24, xig_count: shown.length, xig_gen: this.#next });
    return shown.length === 0 ? head : Buffer.concat([head, ...records, head]);
  }

  #unixlist(stream: boolean): Buffer {
    const shown = stream ? this.sockets.filter(({ protocol }) => protocol === 'unix') : [];
    const head = encode(xunpgen, this.darwin, { xug_len: 24, xug_count: shown.length });
    const entries = shown.map((socket) =>
      encode(xunpcb64, this.darwin, {
        xu_len: 724,
        xunp_vnode: 1n,
        xunp_conn: socket.remote === null ? 0n : 1n,
        xunp_gencnt: socket.id,
        sun_len: socket.local.address.length + 2,
        sun_path: socket.local.address,
        // Another hash than that of the descriptors.
        xso_so: socket.id + 0x90000n,
        so_type: 1,
        so_options: optionsOf(socket),
        so_qlimit: 128,
        so_uid: socket.uid,
      }),
    );
    return Buffer.concat([head, ...entries, head]);
  }

  #fdinfo(socket: FakeSocket): Buffer {
    if (socket.protocol === 'unix')
      return encode(socketFdinfo, this.darwin, {
        soi_so: socket.id + 0x20000n,
        soi_kind: 3,
        soi_family: 1,
        soi_options: optionsOf(socket),
        sun_len: socket.local.address.length + 2,
        sun_path: socket.local.address,
      });
    const { vflag, local, remote } = this.#addresses(socket);
    const bytes = encode(socketFdinfo, this.darwin, {
      soi_so: socket.id + 0x20000n,
      soi_type: socket.protocol === 'tcp' ? 1 : 2,
      soi_protocol: socket.protocol === 'tcp' ? 6 : 17,
      soi_family: socket.family === 6 ? 30 : 2,
      soi_options: optionsOf(socket),
      soi_qlimit: 128,
      soi_kind: socket.protocol === 'tcp' ? 2 : 1,
      insi_lport: socket.local.port,
      insi_fport: socket.remote?.port ?? 0,
      insi_gencnt: socket.id,
      insi_vflag: vflag,
      insi_laddr: local,
      insi_faddr: remote,
      tcpsi_state: states.indexOf(socket.state),
    });
    return bytes;
  }

  #bind(fd: number, address: Buffer, length: number): number {
    const socket = this.#own(fd);
    if (socket === undefined) return this.#fail(E['EBADF'] ?? 9);
    const { protocol } = socket;
    if (protocol === 'unix') throw new Error('The fake Mac binds no Unix sockets');
    const to = decodeSockaddr(address, length, protocol, this.#interfaces);
    if (to.protocol === 'unix') return this.#fail(E['EINVAL'] ?? 22);
    const binder: Binder = {
      protocol,
      family: socket.family,
      address: to.address.split('%')[0] ?? '',
      reuseAddress: socket.reuseAddress,
      reusePort: socket.reusePort,
      v6Only: socket.v6Only,
      device: null,
      uid: this.uid,
    };
    const settings = this.os().readSettings();
    const [refusal] = darwinRefusals(binder, to.port, settings, this.kernel);
    if (refusal !== undefined) return this.#fail(E[refusal.errno] ?? 22);
    const others = this.sockets
      .filter((one) => one !== socket && one.protocol === protocol && one.local.port === to.port && !one.userSpace)
      .map((one) => ({ ...one, darwin: { lastPid: 0, sharesUsers: one.sharesUsers, userSpace: false } }));
    if (to.port !== 0 && searches(binder, others).some(({ conflict }) => conflict === 'yes'))
      return this.#fail(E['EADDRINUSE'] ?? 48);
    const flow = this.sockets.some((one) => one.userSpace && one.protocol === protocol && one.local.port === to.port);
    if (flow && to.port !== 0) return this.#fail(E['EADDRINUSE'] ?? 48);
    socket.local = { address: to.address, port: to.port === 0 ? 49_152 + Number(this.#next++ % 16_000n) : to.port };
    return 0;
  }
}

function optionsOf({ reuseAddress, reusePort, state }: FakeSocket): number {
  return (reuseAddress ? 4 : 0) | (reusePort ? 0x200 : 0) | (state === 'LISTEN' ? 2 : 0);
}

function bytesOf(address: string, isIpv4: boolean): Buffer {
  const bytes = Buffer.alloc(16);
  if (isIpv4) {
    for (const [index, part] of address.replace('::ffff:', '').split('.').entries()) bytes[12 + index] = Number(part);
    return bytes;
  }
  if (address !== '::')
    encodeSockaddr(
      { protocol: 'tcp', address, port: 0 },
      { if_nametoindex: () => 0, if_indextoname: () => false },
    ).copy(bytes, 0, 8, 24);
  return bytes;
}

/** A record of pcblist_n: its length and kind, padded to eight bytes. */
function record(kind: number, bytes: Buffer): Buffer {
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(kind, 4);
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}

/** A structure with these fields; the rest is zero. */
export function encode<F extends Fields>(of: Structure<F>, darwin: number, values: Numbers<F>): Buffer {
  const { size } = of.of(darwin);
  const bytes = Buffer.alloc(size);
  for (const [name, value] of Object.entries(values)) {
    const [at = 0, kind] = of.fields[name] ?? [];
    if (value === undefined || at >= size) continue;
    if (typeof value === 'string') bytes.write(value, at);
    else if (Buffer.isBuffer(value)) value.copy(bytes, at);
    else if (kind === 'u64') bytes.writeBigUInt64LE(BigInt(value as number), at);
    else if (kind === 'u8') bytes.writeUInt8(Number(value) & 0xff, at);
    else if (kind === 'u16n') bytes.writeUInt16BE(Number(value), at);
    else if (kind === 'u16' || kind === 'i16') bytes.writeUInt16LE(Number(value) & 0xffff, at);
    else bytes.writeInt32LE(Number(value) | 0, at);
  }
  return bytes;
}
