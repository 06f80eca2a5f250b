/**
 * A random history of real sockets on one port: binds, listens, connections, closes, changed flags. Every result of bind
 * and listen is compared with the rules, and with the rules over what `readFacts` saw of the same sockets.
 */
import type { BindOptions, InetEndpoint } from '../../src/model/endpoint.ts';
import type { Settings } from '../../src/model/facts.ts';
import { isOverlooked } from '../../src/model/rules/linux-address.ts';
import { blocks, blocksAutomatic, udpBinds } from '../../src/model/rules/linux-conflict.ts';
import { refusals } from '../../src/model/rules/linux-refusal.ts';
import type { Binder } from '../../src/model/rules/rules.ts';
import { intOption } from '../../src/os/linux/calls/socket.ts';
import { linux } from '../../src/os/linux/index.ts';
import { Bucket } from './bucket.ts';
import { acceptFrom, acceptOne, as, attempt, withOnlyPort } from './calls.ts';
import { asBinder, asKnown, boundAddress, boundPort, type Entry, settle } from './entry.ts';
import type { Random } from './random.ts';
import { compareReading } from './reading.ts';

const { sockets } = linux;

/** What one machine can play. */
export interface Ground {
  readonly uids: readonly number[];
  readonly devices: readonly string[];
  readonly ipv6: boolean;
  readonly settings: Settings;
  /** Linux 6.8 and later: the cache is as bucket.ts writes it. */
  readonly cacheKnown: boolean;
  /** Linux 6.8 and later: sock_diag lists bound sockets. */
  readonly showsBound: boolean;
  /** Whether `readFacts` is compared too. */
  readonly reads: boolean;
}

export interface Tally {
  binds: number;
  listens: number;
  refused: number;
  /** Results that only the cache explains. */
  cached: number;
  readings: number;
  readonly differences: { readonly what: string; readonly log: readonly string[] }[];
}

export class History {
  readonly #random: Random;
  readonly #port: number;
  readonly #protocol: 'tcp' | 'udp';
  readonly #ground: Ground;
  readonly #tally: Tally;
  /** As the kernel walks UDP sockets. */
  readonly #entries: Entry[] = [];
  readonly #bucket = new Bucket();
  readonly #log: string[] = [];
  readonly #peers = new Set<number>();
  #broken = false;
  /** After a connection the cache may forget earlier than bucket.ts says: 6.18 keeps a part of it for each address, and drops it when only connections are left. */
  #connected = false;

  constructor(random: Random, port: number, protocol: 'tcp' | 'udp', ground: Ground, tally: Tally) {
    this.#random = random;
    this.#port = port;
    this.#protocol = protocol;
    this.#ground = ground;
    this.#tally = tally;
  }

  /** Plays so many steps, or until something differs, and closes everything. */
  async play(steps: number): Promise<void> {
    try {
      for (let step = 0; step < steps && !this.#broken; step++) await this.#step();
    } finally {
      for (const entry of this.#entries) if (entry.fd !== null) sockets.close(entry.fd);
      for (const peer of this.#peers) sockets.close(peer);
    }
  }

  async #step(): Promise<void> {
    await settle(this.#entries);
    if (this.#entries.length === 0) this.#bucket.forget();
    const open = this.#entries.filter((entry) => entry.fd !== null);
    const dice = this.#random.below(100);
    // Only a port without bound sockets is given to a client.
    if (this.#entries.length === 0 && this.#protocol === 'tcp' && dice % 3 === 0) await this.#client();
    else if (dice < 42 || open.length === 0) this.#bind(this.#random.chance(0.1));
    else if (dice < 54) this.#close(this.#random.pick(open));
    else if (dice < 66) this.#change(this.#random.pick(open));
    else if (this.#protocol === 'udp') this.#connectUdp(open);
    else if (dice < 78) this.#listen(open);
    else if (dice < 88) await this.#serve(open);
    else if (dice < 92) await this.#connectTcp(open);
    else if (dice < 95) await this.#client();
    else this.#closePeer(open);
  }

  #newSocket(): { binder: Binder; options: BindOptions; endpoint: InetEndpoint } {
    const random = this.#random;
    const v4 = ['0.0.0.0', '127.0.0.1', '127.0.0.2'];
    const v6 = ['::', '::', '::1', '::ffff:0.0.0.0', '::ffff:127.0.0.1'];
    const address = random.pick(this.#ground.ipv6 ? [...v4, ...v6] : v4);
    const options: BindOptions = {
      reuseAddress: random.chance(0.5),
      reusePort: random.chance(0.4),
      // A bind to one IPv6 address sets it by itself.
      v6Only: address === '::1' || (address === '::' && random.chance(0.4)),
      device: random.chance(0.15) ? random.pick(this.#ground.devices) : null,
    };
    const uid = random.pick(this.#ground.uids);
    const family = address.includes(':') ? 6 : 4;
    const endpoint = { protocol: this.#protocol, address, port: this.#port };
    return { binder: { protocol: this.#protocol, family, address, ...options, uid }, options, endpoint };
  }

  #bind(automatic: boolean): void {
    const { binder, options, endpoint } = this.#newSocket();
    const fd = as(binder.uid, () => sockets.open(this.#protocol, binder.family));
    sockets.setBindOptions(fd, binder.family, options);
    const expected = automatic ? this.#expectAutomatic(binder) : this.#expectBind(binder);
    const reading =
      this.#ground.reads && !automatic
        ? compareReading(this.#entries, endpoint, options, binder.uid, this.#ground.showsBound)
        : null;
    const errno = automatic
      ? withOnlyPort(this.#port, () => attempt(() => sockets.bind(fd, { ...endpoint, port: 0 })))
      : attempt(() => sockets.bind(fd, endpoint));
    this.#tally.binds++;
    if (errno !== null) this.#tally.refused++;
    this.#note(`${automatic ? 'bind(0)' : 'bind'} ${describe(binder)}: ${errno ?? 'ok'}`);
    this.#check(errno, expected, binder);
    if (reading !== null) {
      this.#tally.readings++;
      for (const what of reading(errno)) this.#differ(what);
    }
    if (errno !== null) {
      sockets.close(fd);
      return;
    }
    if (automatic && boundPort(fd) !== this.#port) this.#differ(`bind(0) chose ${boundPort(fd)}`);
    this.#bucket.remember(binder);
    const entry: Entry = {
      ...binder,
      fd,
      inode: sockets.identity(fd)?.inode ?? 0,
      port: this.#port,
      state: 'BOUND',
      mini: false,
      peer: null,
      remotePort: null,
    };
    // sk_add_node_rcu: an IPv6 socket with SO_REUSEPORT goes behind all others, every other one before them.
    if (binder.family === 6 && binder.reusePort) this.#entries.push(entry);
    else this.#entries.unshift(entry);
  }

  #expectBind(binder: Binder): Expected {
    const [refusal] = refusals(binder, this.#port, this.#ground.settings);
    if (refusal !== undefined) return { errno: refusal.errno, cached: false };
    return this.#expect(binder, this.#entries);
  }

  #expect(binder: Binder, others: readonly Entry[]): Expected {
    const known = others.map(asKnown);
    if (binder.protocol === 'udp') return { errno: udpBinds(binder, known) ? null : 'EADDRINUSE', cached: false };
    const blocked = known.some((occupant) => blocks(binder, occupant));
    const cached = blocked && this.#bucket.skips(binder);
    return { errno: blocked && !cached ? 'EADDRINUSE' : null, cached };
  }

  #expectAutomatic(binder: Binder): Expected {
    const [refusal] = refusals(binder, 0, this.#ground.settings);
    if (refusal !== undefined) return { errno: refusal.errno, cached: false };
    const taken = this.#entries.map(asKnown).some((occupant) => blocksAutomatic(binder, occupant));
    return { errno: taken ? 'EADDRINUSE' : null, cached: false };
  }

  #listen(open: readonly Entry[]): void {
    const entry = this.#random.pick(open);
    if (entry.state !== 'BOUND' || entry.fd === null) return;
    const { fd } = entry;
    const binder = asBinder(entry);
    const expected = this.#expect(
      binder,
      this.#entries.filter((other) => other !== entry),
    );
    const errno = attempt(() => sockets.listen(fd, 16));
    this.#tally.listens++;
    if (errno !== null) this.#tally.refused++;
    this.#note(`listen ${describe(binder)}: ${errno ?? 'ok'}`);
    this.#check(errno, expected, binder);
    if (errno !== null) return;
    entry.state = 'LISTEN';
    this.#bucket.remember(binder);
  }

  #check(errno: string | null, expected: Expected, binder: Binder): void {
    if (errno === expected.errno) {
      if (expected.cached) this.#tally.cached++;
      return;
    }
    const mayForget = this.#connected && expected.cached;
    // Before 6.8 the cache follows other rules, but it can only let in, and only with a reuse flag.
    const mayRemember = !this.#ground.cacheKnown && errno === null && (binder.reusePort || binder.reuseAddress);
    const mayOverlook =
      !this.#ground.cacheKnown && errno === null && this.#entries.some((entry) => isOverlooked(binder, entry));
    if (mayForget || mayRemember || mayOverlook) {
      this.#tally.cached++;
      return;
    }
    this.#differ(`kernel ${errno ?? 'ok'}, rules ${expected.errno ?? 'ok'}`);
  }

  /** A client connects to whatever listens on the port, and the connection is accepted. */
  async #serve(open: readonly Entry[]): Promise<void> {
    const listeners = open.filter((entry) => entry.state === 'LISTEN');
    if (listeners.length === 0) return;
    const address = this.#random.pick(this.#ground.ipv6 ? ['127.0.0.1', '127.0.0.2', '::1'] : ['127.0.0.1']);
    const peer = sockets.open('tcp', address.includes(':') ? 6 : 4);
    if (attempt(() => sockets.connect(peer, { protocol: 'tcp', address, port: this.#port })) !== null) {
      return sockets.close(peer);
    }
    const uid = this.#random.pick(this.#ground.uids);
    const accepted = await acceptFrom(listeners, uid);
    if (accepted === null) return sockets.close(peer);
    const { fd, listener } = accepted;
    this.#peers.add(peer);
    this.#connected = true;
    this.#note(`${address} connects to ${describe(asBinder(listener))}, accepted by ${uid}`);
    this.#entries.unshift({
      ...listener,
      fd,
      inode: sockets.identity(fd)?.inode ?? 0,
      address: boundAddress(fd),
      uid,
      state: 'ESTABLISHED',
      peer,
      remotePort: boundPort(peer),
    });
  }

  /** A bound socket becomes a client of a listener elsewhere. */
  async #connectTcp(open: readonly Entry[]): Promise<void> {
    const entry = this.#random.pick(open);
    if (entry.state !== 'BOUND' || entry.fd === null || entry.device === 'v0') return;
    const address = this.#target(entry);
    const sink = sockets.open('tcp', address.includes(':') ? 6 : 4);
    sockets.bind(sink, { protocol: 'tcp', address, port: 0 });
    sockets.listen(sink, 1);
    const remotePort = boundPort(sink);
    sockets.connect(entry.fd, { protocol: 'tcp', address, port: remotePort });
    entry.peer = await acceptOne(sink);
    this.#peers.add(entry.peer);
    this.#connected = true;
    sockets.close(sink);
    entry.remotePort = remotePort;
    entry.state = 'ESTABLISHED';
    entry.address = boundAddress(entry.fd);
    this.#note(`${describe(asBinder(entry))} is a client now`);
  }

  /** A socket that never bound becomes a client, and the kernel gives it this port. */
  async #client(): Promise<void> {
    const address = this.#ground.ipv6 ? this.#random.pick(['127.0.0.1', '::1', '::ffff:127.0.0.1']) : '127.0.0.1';
    const family = address.includes(':') ? 6 : 4;
    const sink = sockets.open('tcp', family);
    sockets.bind(sink, { protocol: 'tcp', address, port: 0 });
    sockets.listen(sink, 1);
    const remotePort = boundPort(sink);
    const uid = this.#random.pick(this.#ground.uids);
    const flags = {
      reuseAddress: this.#random.chance(0.2),
      reusePort: this.#random.chance(0.2),
      v6Only: false,
      device: null,
    };
    const fd = as(uid, () => sockets.open('tcp', family));
    sockets.setBindOptions(fd, family, flags);
    // connect(2) takes a port that only clients have; otherwise it fails, and that is not what is tested here.
    const errno = withOnlyPort(this.#port, () =>
      attempt(() => sockets.connect(fd, { protocol: 'tcp', address, port: remotePort })),
    );
    const peer = errno === null ? await acceptOne(sink) : null;
    sockets.close(sink);
    if (peer === null) {
      sockets.close(fd);
      return;
    }
    this.#peers.add(peer);
    this.#connected = true;
    const inode = sockets.identity(fd)?.inode ?? 0;
    const local = { address: boundAddress(fd), port: this.#port };
    const entry: Entry = {
      fd,
      inode,
      protocol: 'tcp',
      family,
      ...local,
      ...flags,
      uid,
      state: 'ESTABLISHED',
      mini: false,
      peer,
      remotePort,
    };
    this.#entries.unshift(entry);
    this.#note(`an automatic client: ${describe(asBinder(entry))}`);
  }

  #connectUdp(open: readonly Entry[]): void {
    const entry = this.#random.pick(open);
    if (entry.state !== 'BOUND' || entry.fd === null || entry.device === 'v0') return;
    sockets.connect(entry.fd, { protocol: 'udp', address: this.#target(entry), port: 9 });
    entry.state = 'ESTABLISHED';
    entry.address = boundAddress(entry.fd);
    this.#note(`connected: ${describe(asBinder(entry))}`);
  }

  #target(entry: Entry): string {
    if (entry.family === 4) return '127.0.0.1';
    if (entry.address.startsWith('::ffff:')) return '::ffff:127.0.0.1';
    return entry.v6Only || entry.address !== '::' || this.#random.chance(0.5) ? '::1' : '::ffff:127.0.0.1';
  }

  #change(entry: Entry): void {
    if (entry.fd === null) return;
    const address = this.#random.chance(0.5);
    const value = this.#random.chance(0.5);
    sockets.setOption(entry.fd, address ? 'SO_REUSEADDR' : 'SO_REUSEPORT', intOption(value ? 1 : 0));
    if (address) entry.reuseAddress = value;
    else entry.reusePort = value;
    this.#note(`${address ? 'SO_REUSEADDR' : 'SO_REUSEPORT'} ${value ? 'on' : 'off'}: ${describe(asBinder(entry))}`);
  }

  #closePeer(open: readonly Entry[]): void {
    const entry = open.find((candidate) => candidate.peer !== null);
    if (entry === undefined || entry.peer === null) return;
    this.#hangUp(entry);
    entry.state = 'CLOSE_WAIT';
    this.#note(`the peer of ${describe(asBinder(entry))} closes`);
  }

  #close(entry: Entry): void {
    if (entry.fd !== null) {
      sockets.close(entry.fd);
      this.#note(`close ${describe(asBinder(entry))} ${entry.state}`);
      entry.fd = null;
      // settle() tells what the kernel keeps of a connection.
      if (entry.remotePort === null || entry.protocol === 'udp') this.#entries.splice(this.#entries.indexOf(entry), 1);
    }
    if (entry.peer !== null && this.#random.chance(0.5)) this.#hangUp(entry);
  }

  #hangUp(entry: Entry): void {
    if (entry.peer === null) return;
    sockets.close(entry.peer);
    this.#peers.delete(entry.peer);
    entry.peer = null;
  }

  #note(line: string): void {
    this.#log.push(line);
  }

  #differ(what: string): void {
    // The first counts; what follows from it does not.
    if (this.#broken) return;
    this.#broken = true;
    this.#tally.differences.push({ what, log: [...this.#log, ...this.#entries.map((entry) => JSON.stringify(entry))] });
  }
}

interface Expected {
  readonly errno: string | null;
  readonly cached: boolean;
}

function describe(binder: Binder): string {
  const flags = [
    binder.reuseAddress && 'RA',
    binder.reusePort && 'RP',
    binder.v6Only && 'v6only',
    binder.device,
    `uid ${binder.uid}`,
  ];
  return `${binder.protocol} ${binder.family === 6 ? '6 ' : ''}${binder.address} ${flags.filter(Boolean).join(' ')}`;
}
