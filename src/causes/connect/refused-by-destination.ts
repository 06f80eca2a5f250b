import { addressCause } from './form.ts';
import { inetOf, placeOf, refusalOf, unsent } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change, look } from './shared/look.ts';
import { isPortUnreachable, refusedElsewhere } from './shared/refused-elsewhere.ts';

/** A reset of TCP from another host: its kernel without a listener, or a firewall that forges one. */
export default addressCause({
  id: 'refused-by-destination',
  title: 'The other host refuses the connection',
  on: ['linux'],
  at: 'server',
  page: {
    see: '`ECONNREFUSED`, "Connection refused", as soon as a packet can go there and back. Network and host are alive.',
    why: 'The host answered with a reset: no program of it listens on this address and port. Its server may not run, or may listen on 127.0.0.1 only. A firewall that forges a reset (`reject with tcp reset`) looks exactly the same from here, so that only the other host can tell.',
    now: 'Run `rebind reach PORT` on the other host. It says whether a program listens there, on which addresses, and what its firewall does.',
    prevent: 'Let the server listen on `::` or `0.0.0.0` if clients of other hosts should reach it.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || evidence.ours !== false) return null;
    const { address, port } = evidence.endpoint;
    const args = { endpoint: placeOf(evidence), address, port, protocol: evidence.protocol };
    if (evidence.protocol === 'udp') {
      const refused = refusedElsewhere(question);
      return refused !== null && refused.from === address && isPortUnreachable(refused.refusal) ? args : null;
    }
    const { attempt } = evidence;
    if (attempt?.errno !== 'ECONNREFUSED' || attempt.by !== 'later' || refusalOf(evidence) !== null) return null;
    return unsent(evidence) === 0 ? args : null;
  },
  say: ({ address, port, protocol }) =>
    protocol === 'udp'
      ? `${address} answers that no program of it receives on UDP port ${port}`
      : `${address} refuses connections to port ${port}: no program listens there, or its firewall answers in its place`,
  remedies: ({ address, port, protocol }) => [
    change(
      'start-server',
      `Start the server on ${address}, and let it listen on an address that other hosts reach`,
      null,
    ),
    look(
      `Run "rebind reach" on ${address}: it says whether a program or the firewall refuses`,
      `rebind reach ${protocol === 'udp' ? `udp/${port}` : port}`,
    ),
  ],
  stages: [
    ...[false, true].map((ipv6) => ({
      title: `no program of the server listens on the port, over ${ipv6 ? 'IPv6' : 'IPv4'}`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(stage, 'no program of the server listens on port PORT', async () => {}, { ipv6 }),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['start-server', 'investigate'] as const },
    })),
    {
      title: 'the server listens on its loopback address only',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a program of the server listens on 127.0.0.1:PORT only', async ({ server }, port) => {
          const socket = await (await server.actor('server')).open();
          await socket.bind('127.0.0.1', port);
          await socket.listen();
        }),
      expect: { reachable: false, errno: 'ECONNREFUSED' },
    },
    {
      title: 'the firewall of the server forges a reset',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the firewall of the server answers port PORT with a reset', ({ server }, port) =>
          server.nft(
            `table inet stage { chain input { type filter hook input priority 0; tcp dport ${port} reject with tcp reset; }; }`,
          ),
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED' },
    },
    {
      title: 'no program of the server receives datagrams on the port',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'no program of the server receives on UDP port PORT', async () => {}, { udp: true }),
      expect: { reachable: false, errno: 'ECONNREFUSED' },
    },
  ],
});
