import { addressCause } from './form.ts';
import { grew, inetOf, isSilent, placeOf } from './shared/attempts.ts';
import { alone, chain } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** nf_conntrack drops what would need a new entry in a full table (net/netfilter/nf_conntrack_core.c: __nf_conntrack_alloc). */
export default addressCause({
  id: 'conntrack-full',
  title: 'The connection table of the firewall is full',
  on: ['linux'],
  at: 'firewall',
  page: {
    see: 'New connections hang, also to 127.0.0.1, while open ones go on. The kernel logs `nf_conntrack: table full, dropping packet`.',
    why: 'A firewall that knows connections, or NAT, as every container engine uses it, keeps an entry for each in a table. When the table has `net.netfilter.nf_conntrack_max` entries, each packet that would need a new one is dropped without a word. Entries of idle connections stay for five days.',
    now: 'Raise the limit: `sysctl -w net.netfilter.nf_conntrack_max=524288`. `conntrack -L` shows what fills the table.',
    prevent:
      'Shorten `net.netfilter.nf_conntrack_tcp_timeout_established`. Exclude traffic that needs no tracking: `notrack` rules.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || !isSilent(evidence) || grew(evidence, 'Conntrack.drop') === 0) return null;
    const { tracked } = evidence.before;
    return { endpoint: placeOf(evidence), count: tracked?.count ?? null, max: tracked?.max ?? null };
  },
  say: ({ endpoint, count, max }) =>
    `The firewall of this machine has no room for a connection to ${endpoint}: its connection table is full${count === null || max === null ? '' : ` (${count} of ${max})`}`,
  remedies: ({ max }, question) => [
    change(
      'raise-limit',
      'Raise the limit of the table until reboot',
      question.advice.network?.set('net.netfilter.nf_conntrack_max', `${(max ?? 262_144) * 2}`),
      { setting: 'net.netfilter.nf_conntrack_max' },
    ),
  ],
  stages: [
    {
      title: 'the connection table is full',
      needs: ['network', 'conntrack'],
      stage: (stage) =>
        alone(
          stage,
          'a Node server listens on 127.0.0.1:PORT, and the connection table of the host is full',
          async (host, port) => {
            const server = await host.nodeServer({ port, host: '127.0.0.1' });
            await host.nft(chain('input', 'ct state new accept'));
            await host.fillConntrack();
            return server;
          },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['raise-limit'] },
    },
  ],
});
