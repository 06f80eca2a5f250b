import { addressCause } from './form.ts';
import { grew, inetOf, isSilent, placeOf, unsent } from './shared/attempts.ts';
import { byRule, decidingRule, inspectRules } from './shared/firewall.ts';
import { across, alone, chain } from './shared/hosts.ts';

/** Packets left the socket and never the machine: OutRequests grew and OutTransmits did not, and each retransmission counts TCPRetransFail. */
export default addressCause({
  id: 'own-firewall-drops-output',
  title: 'The firewall of this machine drops packets to the address on their way out',
  on: ['linux'],
  at: 'firewall',
  page: {
    see: 'The connect hangs; for UDP, `send` fails with `EPERM`. Other machines reach the target.',
    why: 'A rule in the OUTPUT or POSTROUTING chain of this machine, or a filter that is attached to the cgroup (`IPAddressDeny=` of a systemd unit), drops the packets. TCP does not learn of it and tries again. The counters of the kernel show it to everybody: packets were sent (OutRequests) that never reached the network (OutTransmits).',
    now: 'Run `rebind reach` as root: it names the rule. `nft list ruleset` shows all rules, `iptables-legacy-save` those of the older kind.',
    prevent: 'Use `reject` instead of `drop` for outgoing traffic, so that clients fail at once.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const datagram = 'datagram' in evidence ? evidence.datagram : null;
    const refused = datagram?.by === 'send' && datagram.errno === 'EPERM';
    const lost = isSilent(evidence) && (unsent(evidence) > 0 || grew(evidence, 'TcpExt.TCPRetransFail') > 0);
    if ((!refused && !lost) || grew(evidence, 'Conntrack.drop') > 0 || evidence.before.unusable !== null) return null;
    return { endpoint: placeOf(evidence), rule: decidingRule(question, /drop|reject|queue/) };
  },
  say: ({ endpoint, rule }) =>
    `The firewall of this machine drops packets to ${endpoint} on their way out${byRule(rule)}`,
  remedies: ({ rule }, question) => inspectRules(question, rule, true),
  stages: [
    ...[false, true].map((ipv6) => ({
      title: `a rule drops packets to a port of ${ipv6 ? '::1' : '127.0.0.1'} on their way out`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof alone>[0]) =>
        alone(
          stage,
          `a Node server listens on port PORT, and a rule drops packets to it on their way out`,
          async (host, port) => {
            await host.nft(chain('output', `tcp dport ${port} counter drop`));
            return host.nodeServer({ port, host: ipv6 ? '::1' : '127.0.0.1' });
          },
          { ipv6 },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', says: /, by the rule "tcp dport \d+ counter drop/ },
    })),
    {
      title: 'the client drops its own packets to another host',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a rule of the client drops packets to port PORT', ({ client }, port) =>
          client.nft(chain('output', `tcp dport ${port} counter drop`)),
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', says: /, by the rule "tcp dport \d+ counter drop/ },
    },
    {
      title: 'the client drops its own datagrams to another host',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a rule of the client drops datagrams to port PORT',
          ({ client }, port) => client.nft(chain('output', `udp dport ${port} drop`)),
          { udp: true },
        ),
      expect: { reachable: false, errno: 'EPERM' },
    },
  ],
});
