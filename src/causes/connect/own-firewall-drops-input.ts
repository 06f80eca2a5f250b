import { addressCause } from './form.ts';
import { grew, inetOf, isSilent, leadsBack, placeOf, undelivered } from './shared/attempts.ts';
import { byRule, decidingRule, inspectRules } from './shared/firewall.ts';
import { across, alone, chain } from './shared/hosts.ts';

/** Packets arrived and never reached TCP or UDP: InReceives grew by more than InDelivers. */
export default addressCause({
  id: 'own-firewall-drops-input',
  title: 'The firewall of this machine drops the packets when they arrive',
  on: ['linux'],
  at: 'firewall',
  page: {
    see: 'The connect hangs, although a program listens on the port of this very machine. Or every connect to other hosts hangs, because the answers are dropped.',
    why: 'A rule in the INPUT or PREROUTING chain of this machine drops the packets, or its policy does. The counters of the kernel show it to everybody: packets arrived (InReceives) that were not handed to TCP or UDP (InDelivers), and the listener itself has dropped none.',
    now: 'Run `rebind reach` as root: it names the rule. Allow the port: `firewall-cmd --add-port=3000/tcp`, `ufw allow 3000/tcp`, or a rule of nftables.',
    prevent: 'Accept `ct state established,related` and the loopback interface first in every INPUT chain.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || !isSilent(evidence) || undelivered(evidence) === 0) return null;
    if (
      leadsBack(evidence) ||
      evidence.before.unusable !== null ||
      grew(evidence, 'TcpExt.IPReversePathFilter') > 0 ||
      grew(evidence, 'Conntrack.drop') > 0
    )
      return null;
    return {
      endpoint: placeOf(evidence),
      ours: evidence.ours === true,
      rule: decidingRule(question, /drop|reject|queue/),
    };
  },
  say: ({ endpoint, ours, rule }) =>
    ours
      ? `The firewall of this machine drops packets to ${endpoint} when they arrive${byRule(rule)}`
      : `The firewall of this machine drops what comes back from ${endpoint}${byRule(rule)}`,
  remedies: ({ rule }, question) => inspectRules(question, rule, false),
  stages: [
    ...[false, true].map((ipv6) => ({
      title: `a rule drops packets to a port of ${ipv6 ? '::1' : '127.0.0.1'} when they arrive`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof alone>[0]) =>
        alone(
          stage,
          `a Node server listens on port PORT, and a rule drops packets to it when they arrive`,
          async (host, port) => {
            await host.nft(chain('input', `tcp dport ${port} counter drop`));
            return host.nodeServer({ port, host: ipv6 ? '::1' : '127.0.0.1' });
          },
          { ipv6 },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', says: /, by the rule "tcp [ds]port \d+ counter drop/ },
    })),
    {
      title: 'the client drops the answers of another host',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a rule of the client drops what comes from port PORT', async ({ client, server }, port) => {
          await client.nft(chain('input', `tcp sport ${port} counter drop`));
          const listener = await (await server.actor('server')).open();
          await listener.bind('0.0.0.0', port);
          await listener.listen();
        }),
      expect: { reachable: false, errno: 'ETIMEDOUT', says: /, by the rule "tcp [ds]port \d+ counter drop/ },
    },
    {
      title: 'a rule drops datagrams to a port of 127.0.0.1 when they arrive',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a program receives on port PORT, and a rule drops datagrams to it',
          async (host, port) => {
            await host.nft(chain('input', `udp dport ${port} drop`));
            const actor = await host.actor('server');
            await (await actor.open({ kind: 'udp' })).bind('127.0.0.1', port);
            return actor;
          },
          { udp: true },
        ),
      expect: { reachable: false, errno: null },
    },
  ],
});
