import { familyOf, formatAddress, isWildcard } from '../../model/address.ts';
import type { InetSocket } from '../../model/facts.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { listening } from '../shared/scenes.ts';
import { agree, asked, localOf, multicastPorts, named, places, processes, who } from '../shared/words.ts';

/** The bind works, and still somebody else gets the connections. */
export default cause({
  id: 'shadowed',
  title: 'The port is available, but some connections would go to another program',
  on: ['linux', 'darwin'],
  page: {
    see: 'Your server starts without an error, and a browser on `localhost` shows the wrong page, or every second request goes to an old copy of the server.',
    why: '`localhost` has two addresses, `127.0.0.1` and `::1`. Two programs can have one each on the same port, and which one a client reaches depends on the client: many try `::1` first. And with `SO_REUSEPORT`, or `SO_REUSEADDR` for UDP, two programs of one user can even have the same address; the kernel spreads connections over them, or gives all packets to the newest.',
    now: 'Use the address in clients, `http://127.0.0.1:3000`, instead of `localhost`. Or stop the other program: `rebind why` names it.',
    prevent:
      'Listen on `::`, as Node does without a host: it takes both addresses, and fails if another program has one of them. Use `reusePort` only for copies of one server.',
  },
  recognise(question) {
    const { endpoint } = question.request;
    if (question.errno !== null || endpoint.protocol === 'unix' || endpoint.port === 0) return null;
    const sharing = question.bystanders.filter((socket) => receives(socket) && sharesWith(socket, question));
    const others = question.bystanders.filter((socket) => receives(socket) && hasOtherLocalhost(socket, question));
    const shown = sharing.length > 0 ? sharing : others;
    const [first] = shown;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      way:
        sharing.length > 0
          ? endpoint.protocol === 'udp' && !question.request.options.reusePort
            ? 'newest'
            : 'shared'
          : 'localhost',
      at: [...new Set(shown.map(localOf))],
      uid: first.uid,
      holders: holdersOf(shown, question).map(who),
      multicast: endpoint.protocol === 'udp' ? (multicastPorts[endpoint.port] ?? null) : null,
    } as const;
  },
  say({ endpoint, way, at, uid, holders, multicast }) {
    const has = `${processes(holders, uid)} ${way === 'localhost' ? '' : 'also '}${agree(named(holders), 'has', 'have')} ${places(at, endpoint)}`;
    const packets = at.some((where) => where.startsWith('udp/'));
    const everywhere = multicast === null ? '' : `; ${multicast} is multicast, which reaches every socket of the port`;
    switch (way) {
      case 'shared':
        return `${has}, and ${packets ? 'packets' : 'connections'} are distributed over both${everywhere}`;
      case 'newest':
        return `${has}, and ${multicast === null ? 'only the newest socket receives' : 'packets for this machine alone reach only the newest socket'}${everywhere}`;
      case 'localhost':
        return `${has}, and clients of localhost may reach that program`;
    }
  },
  remedies(_args, question): Remedy[] {
    const { endpoint } = question.request;
    if (endpoint.protocol === 'unix') return [];
    const address = isWildcard(endpoint.address)
      ? familyOf(endpoint.address) === 4
        ? '127.0.0.1'
        : '::1'
      : endpoint.address;
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
      title: 'another program receives UDP on the address with SO_REUSEADDR, and you set it, too',
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
      title: 'another server has 127.0.0.2, which nobody calls localhost: nothing to say',
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
