import { familyOf, formatAddress, isWildcard } from '../../model/address.ts';
import type { InetSocket } from '../../model/facts.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { type Deliveries, deliveries } from '../shared/delivery.ts';
import { holdersOf } from '../shared/kinds.ts';
import { listening } from '../shared/scenes.ts';
import {
  agree,
  asked,
  list,
  localOf,
  multicastPorts,
  named,
  places,
  processes,
  type Who,
  who,
} from '../shared/words.ts';

/** The bind works, and still somebody else gets the connections. */
export default cause({
  id: 'shadowed',
  title: 'The port is available, but some connections would go to another program',
  on: ['linux', 'darwin'],
  page: {
    see: 'Your server starts without an error, and a browser on `localhost` shows the wrong page, or every second request goes to an old copy of the server.',
    why: '`localhost` has two addresses, `127.0.0.1` and `::1`. Two programs can have one each on the same port, and which one a client reaches depends on the client: many try `::1` first. And with `SO_REUSEPORT`, or `SO_REUSEADDR` for UDP, two programs of one user can even have the same address; the kernel spreads connections over them, or gives all packets to the newest. On macOS programs can have `0.0.0.0`, `::` and `127.0.0.1` side by side: `127.0.0.1` gets the connections to it, `0.0.0.0` all others over IPv4, `::` the rest.',
    now: 'Use the address in clients, `http://127.0.0.1:3000`, instead of `localhost`. Or stop the other program: `rebind why` names it.',
    prevent:
      'Listen on `::`, as Node does without a host: it takes both addresses, and fails if another program has one of them. Use `reusePort` only for copies of one server.',
  },
  recognise(question): Found | null {
    const { endpoint } = question.request;
    if (question.errno !== null || endpoint.protocol === 'unix' || endpoint.port === 0) return null;
    const all = question.bystanders.filter(receives);
    const split = deliveries(question, all);
    if (split !== null) return foundIn(split, all, question);
    const sharing = question.bystanders.filter((socket) => receives(socket) && sharesWith(socket, question));
    const others = question.bystanders.filter((socket) => receives(socket) && hasOtherLocalhost(socket, question));
    const shown = sharing.length > 0 ? sharing : others;
    const [first] = shown;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      way:
        sharing.length > 0
          ? endpoint.protocol === 'udp' && (!question.request.options.reusePort || question.facts.platform === 'darwin')
            ? 'newest'
            : 'shared'
          : 'localhost',
      at: [...new Set(shown.map(localOf))],
      uid: first.uid,
      holders: holdersOf(shown, question).map(who),
      multicast: endpoint.protocol === 'udp' ? (multicastPorts[endpoint.port] ?? null) : null,
      to: [],
    };
  },
  say({ endpoint, way, at, uid, holders, multicast, to }) {
    const both = way === 'shared' || way === 'newest' ? 'also ' : '';
    const has = `${processes(holders, uid)} ${both}${agree(named(holders), 'has', 'have')} ${places(at, endpoint)}`;
    const packets = at.some((where) => where.startsWith('udp/'));
    const everywhere = multicast === null ? '' : `; ${multicast} is multicast, which reaches every socket of the port`;
    switch (way) {
      case 'kept':
        return `${has}, and connections to ${list(to)} would still reach ${agree(named(holders), 'it', 'them')}`;
      case 'taken':
        return `${has}, and connections to ${list(to)} would reach your program instead`;
      case 'shared':
        return `${has}, and ${packets ? 'packets' : 'connections'} are distributed over both${everywhere}`;
      case 'newest':
        return `${has}, and ${multicast === null ? 'only the newest socket receives' : 'packets for this machine alone reach only the newest socket'}${everywhere}`;
      case 'localhost':
        return `${has}, and clients of localhost may reach that program`;
    }
  },
  remedies({ way }, question): Remedy[] {
    const { endpoint } = question.request;
    if (endpoint.protocol === 'unix') return [];
    const address = isWildcard(endpoint.address)
      ? familyOf(endpoint.address) === 4
        ? '127.0.0.1'
        : '::1'
      : endpoint.address;
    if (way === 'kept' || way === 'taken') return twoPrograms(way, endpoint.port);
    const localhost = question.bystanders.some((socket) => receives(socket) && hasOtherLocalhost(socket, question));
    if (!localhost) return [];
    return [
      {
        remedy: 'use-address',
        sentence: `Let clients connect to ${formatAddress(address, endpoint.port)} instead of localhost`,
        command: null,
        automatic: false,
        args: { address },
      },
    ];
  },
  stages: [
    {
      title: 'another server has ::1, and you want 127.0.0.1',
      needs: ['ipv6'],
      async stage(stage) {
        const { server, port } = await listening(stage, '::1', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) listens on [::1]:${port}`,
        });
      },
      expect: { bindable: true, errno: null, remedies: ['use-address'] },
    },
    {
      title: 'another server has 0.0.0.0, and you want :: for IPv6 only',
      needs: ['ipv6'],
      async stage(stage) {
        const { server, port } = await listening(stage, '0.0.0.0', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('::', port, { v6Only: true }),
          description: `a server (pid ${server.pid}) listens on 0.0.0.0:${port}`,
        });
      },
      expect: { bindable: true, errno: null, remedies: ['use-address'] },
    },
    {
      title: 'another server of your user shares the port by SO_REUSEPORT',
      needs: [],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.1', { reuseAddress: true, reusePort: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port, { reusePort: true }),
          description: `a server (pid ${server.pid}) listens on 127.0.0.1:${port} with SO_REUSEPORT`,
        });
      },
      expect: { bindable: true, errno: null, remedies: [] },
    },
    {
      title: 'another program receives UDP on the address with SO_REUSEADDR, and you also set it',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('receiver');
        const socket = await actor.open({ kind: 'udp', reuseAddress: true });
        await socket.bind('127.0.0.1', port);
        return stage.staged({
          request: stage.udp('127.0.0.1', port, { reuseAddress: true }),
          description: `a program (pid ${actor.pid}) receives on UDP 127.0.0.1:${port} with SO_REUSEADDR`,
        });
      },
      expect: { bindable: true, errno: null, remedies: [] },
    },
    {
      title: 'another server has 127.0.0.2, which is not localhost: nothing to report',
      needs: [],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.2', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) listens on 127.0.0.2:${port}`,
        });
      },
      expect: { bindable: true, errno: null, cause: null, remedies: [] },
    },
  ],
});

/** What the cause found. */
type Found = {
  readonly endpoint: string;
  readonly way: 'shared' | 'newest' | 'localhost' | 'kept' | 'taken';
  readonly at: readonly string[];
  readonly uid: number;
  readonly holders: readonly Who[];
  readonly multicast: string | null;
  /** Which connections it is about, where one listener gets all of an address. */
  readonly to: readonly string[];
};

/** What a new server would not get matters more than what it would take; without either, localhost may lead to two programs. */
function foundIn({ kept, taken }: Deliveries, all: readonly InetSocket[], question: Question): Found | null {
  const way = kept.length > 0 ? 'kept' : taken.length > 0 ? 'taken' : 'localhost';
  const split = way === 'kept' ? kept : way === 'taken' ? taken : [];
  const shown =
    way === 'localhost'
      ? all.filter((socket) => hasOtherLocalhost(socket, question))
      : [...new Set(split.map(({ socket }) => socket))];
  const [first] = shown;
  if (first === undefined) return null;
  return {
    endpoint: asked(question),
    way,
    at: [...new Set(shown.map(localOf))],
    uid: first.uid,
    holders: holdersOf(shown, question).map(who),
    multicast: null,
    to: split.map(({ to }) => to),
  };
}

/** Both run, and only one of them is meant. */
function twoPrograms(way: 'kept' | 'taken', port: number): Remedy[] {
  return [
    {
      remedy: 'use-port',
      sentence:
        way === 'kept'
          ? 'Stop the other program first, or use another port, so that every client reaches yours'
          : 'Use another port, if the other program should keep its clients',
      command: null,
      automatic: false,
      args: { port },
    },
  ];
}

function receives(socket: InetSocket): boolean {
  return socket.state === 'LISTEN' || (socket.protocol === 'udp' && socket.state === 'BOUND');
}

/** On an address that the request covers, too: the bind can only have passed because both share. */
function sharesWith(socket: InetSocket, { request }: Question): boolean {
  const { endpoint } = request;
  if (endpoint.protocol === 'unix') return false;
  return (
    familyOf(endpoint.address) === socket.family &&
    (socket.local.address === endpoint.address || isWildcard(socket.local.address) || isWildcard(endpoint.address)) &&
    (socket.reusePort === true || socket.protocol === 'udp')
  );
}

/** It has the one of the two addresses of localhost that the request leaves out. */
function hasOtherLocalhost(socket: InetSocket, { request }: Question): boolean {
  const { endpoint } = request;
  if (endpoint.protocol === 'unix') return false;
  const mine = localhostOf(endpoint.address, request.options.v6Only);
  const theirs = localhostOf(socket.local.address, socket.v6Only === true);
  return mine.length === 1 && theirs.some((address) => !mine.includes(address));
}

/** Which addresses of localhost a listener takes. */
function localhostOf(address: string, v6Only: boolean): string[] {
  if (address === '::') return v6Only ? ['::1'] : ['127.0.0.1', '::1'];
  if (address === '0.0.0.0') return ['127.0.0.1'];
  return address === '127.0.0.1' || address === '::1' ? [address] : [];
}
