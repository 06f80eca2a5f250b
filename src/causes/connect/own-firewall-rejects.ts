import { addressCause } from './form.ts';
import { grew, inetOf, isLate, isOwn, placeOf, refusalOf, undelivered, unsent } from './shared/attempts.ts';
import { byRule, decidingRule, inspectRules } from './shared/firewall.ts';
import { across, alone, chain } from './shared/hosts.ts';

/**
 * An ICMP refusal whose sender is this machine, or a reset that no socket of it sent: a kernel without a listener answers TCP with a reset
 * and counts it (Tcp.OutRsts), a rule that forges one does not (net/ipv4/netfilter/nf_reject_ipv4.c).
 */
export default addressCause({
  id: 'own-firewall-rejects',
  title: 'The firewall of this machine rejects the connection',
  on: ['linux'],
  at: 'firewall',
  page: {
    see: '`ECONNREFUSED`, `EHOSTUNREACH`, `ENETUNREACH` or `EACCES` at once. "Connection refused" looks as if nothing listened, and "No route to host" as if the network were broken.',
    why: 'A rule of this machine rejects the connection, with an ICMP message or a reset of TCP. rebind tells it from a missing listener: the message names its sender, and the kernel counts the resets that it sends itself.',
    now: 'Run `rebind reach` as root: it names the rule. `nft list ruleset` shows all rules, `iptables-legacy-save` those of the older kind.',
    prevent:
      'Reject with `icmp admin-prohibited`: a reset cannot be told from a missing listener by a client elsewhere.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const attempt = evidence.attempt ?? ('datagram' in evidence ? evidence.datagram : null);
    if (attempt?.errno == null || attempt.by !== 'later') return null;
    const refusal = refusalOf(evidence);
    const rule = decidingRule(question, /reject/);
    const args = { endpoint: placeOf(evidence), errno: attempt.errno, rule };
    if (refusal !== null) {
      const icmp = refusal.origin === 'icmp' || refusal.origin === 'icmp6';
      // For UDP, a port without a socket is answered like this too, by the kernel itself, which counts it.
      if (evidence.protocol === 'udp' && grew(evidence, 'Udp.NoPorts') + grew(evidence, 'Udp6.NoPorts') > 0)
        return null;
      // The kernel's own report of a neighbour that does not answer comes late.
      return icmp && !isLate(evidence) && isOwn(evidence, refusal.from) ? { ...args, reset: false } : null;
    }
    if (attempt.errno !== 'ECONNREFUSED' || evidence.protocol !== 'tcp') return null;
    const lost = unsent(evidence) > 0 || (evidence.ours === true && undelivered(evidence) > 0);
    return lost && (evidence.ours !== true || grew(evidence, 'Tcp.OutRsts') === 0) ? { ...args, reset: true } : null;
  },
  say: ({ endpoint, errno, reset, rule }) =>
    `The firewall of this machine rejects connections to ${endpoint} with ${reset ? 'a reset' : `an ICMP message (${errno})`}${byRule(rule)}`,
  remedies: ({ rule }, question) => inspectRules(question, rule, false),
  stages: [
    ...(
      [
        ['input', 'reject', 'ECONNREFUSED'],
        ['input', 'reject with tcp reset', 'ECONNREFUSED'],
        ['output', 'reject', 'ECONNREFUSED'],
        ['output', 'reject with tcp reset', 'ECONNREFUSED'],
      ] as const
    ).map(([hook, verdict, errno]) => ({
      title: `a rule for ${hook === 'input' ? 'arriving' : 'leaving'} packets says "${verdict}" for a port of 127.0.0.1`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof alone>[0]) =>
        alone(stage, `a Node server listens on 127.0.0.1:PORT, and a rule says "${verdict}"`, async (host, port) => {
          await host.nft(chain(hook, `tcp dport ${port} counter ${verdict}`));
          return host.nodeServer({ port, host: '127.0.0.1' });
        }),
      expect: { reachable: false, errno, says: /, by the rule "tcp dport \d+ counter reject/ },
    })),
    ...(
      [
        ['reject with icmp admin-prohibited', 'EHOSTUNREACH', false],
        ['reject with tcp reset', 'ECONNREFUSED', false],
        ['reject with icmpv6 admin-prohibited', 'EACCES', true],
      ] as const
    ).map(([verdict, errno, ipv6]) => ({
      title: `the client says "${verdict}" to its own connection to another host`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(
          stage,
          `a rule of the client for leaving packets says "${verdict}"`,
          ({ client }, port) => client.nft(chain('output', `tcp dport ${port} counter ${verdict}`)),
          { ipv6 },
        ),
      expect: { reachable: false, errno, says: /, by the rule "tcp dport \d+ counter reject/ },
    })),
  ],
});
