import { addressCause } from './form.ts';
import { inetOf, isSilent, placeOf } from './shared/attempts.ts';
import { across, chain } from './shared/hosts.ts';
import { look } from './shared/look.ts';

/** Silence from another host over UDP, which says little: it may be a firewall, or a server that does not answer what it was sent. */
export default addressCause({
  id: 'udp-no-answer',
  title: 'The other host does not answer over UDP',
  on: ['linux'],
  at: 'network',
  leavesOpen: true,
  page: {
    see: 'Nothing comes back, and no error: a client waits until its own timeout.',
    why: 'UDP has no connections. A server answers only what it understands, and an empty datagram is rarely that. A firewall that drops, a lost datagram and a server that ignores it look the same. What rebind can say: the host did not report the port as closed, which it would do unless a firewall or a limit of such messages prevents it.',
    now: 'Ask with the protocol of the server: `dig @HOST` for DNS, `ntpdate -q HOST` for NTP. Run `rebind reach udp/PORT` on the other host: it sees whether a program reads.',
    prevent: 'Give a UDP protocol an answer to a ping of its own.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence?.protocol !== 'udp' || evidence.ours === true || !isSilent(evidence)) return null;
    return { endpoint: placeOf(evidence), address: evidence.endpoint.address, port: evidence.endpoint.port };
  },
  say: ({ endpoint }) => `${endpoint} does not answer, which for UDP does not say that nothing receives there`,
  remedies: ({ address, port }) => [
    look(
      `Ask with the protocol of the server; run "rebind reach" on ${address} to see whether a program reads`,
      `rebind reach udp/${port}`,
    ),
  ],
  stages: [
    {
      title: 'the firewall of the server drops datagrams',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the firewall of the server drops datagrams to port PORT',
          ({ server }, port) => server.nft(chain('input', `udp dport ${port} drop`)),
          { udp: true },
        ),
      expect: { reachable: null, errno: null, remedies: ['investigate'] },
    },
  ],
});
