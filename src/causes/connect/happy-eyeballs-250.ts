import { targetCause } from './form.ts';
import { change } from './shared/look.ts';

/** net.getDefaultAutoSelectFamilyAttemptTimeout(): of every address but the last. */
const attemptMs = 250;

/** Node gives each address but the last a quarter of a second, and the one that works needs more. */
export default targetCause({
  id: 'happy-eyeballs-250',
  title: 'Node gives up an address after 250 ms that would have answered',
  on: ['linux'],
  at: 'route',
  getsThrough: true,
  page: {
    see: '`AggregateError` with the code `ETIMEDOUT` and an empty message, or `fetch failed`, after 0.3 to 0.5 seconds. `curl` works, if slowly, and so does a single address.',
    why: 'For a name with several addresses Node tries one after the other and gives each but the last 250 ms (`autoSelectFamilyAttemptTimeout`). Where a connection takes longer, over a satellite, a VPN or to another continent, the address that works is given up, and the last one, mostly IPv6 without a route, fails.',
    now: 'Start Node with `--network-family-autoselection-attempt-timeout=2500`, or call `net.setDefaultAutoSelectFamilyAttemptTimeout(2500)`.',
    prevent:
      'Set it in `NODE_OPTIONS` on machines that are far from their servers, or remove IPv6 addresses that cannot be reached.',
  },
  recognise({ target, addresses }) {
    if (target.protocol !== 'tcp' || addresses.length < 2) return null;
    const last = addresses.at(-1);
    const works = addresses
      .slice(0, -1)
      .filter(({ outcome, cause }) => (outcome === 'answered' || outcome === 'accepted') && cause === null);
    const [slow] = works;
    if (slow === undefined || works.some(({ elapsedMs }) => (elapsedMs ?? 0) <= attemptMs)) return null;
    if (last === undefined || last.outcome === 'answered' || last.outcome === 'accepted') return null;
    return {
      host: target.host,
      address: slow.address,
      elapsedMs: Math.round(slow.elapsedMs ?? 0),
      last: last.address,
      lastErrno: last.errno,
    };
  },
  say: ({ host, address, elapsedMs, last }) =>
    `Node does not get through to ${host}: ${address} needs ${elapsedMs} ms and is given up after ${attemptMs} ms, and ${last} fails`,
  remedies: () => [
    change(
      'set-option',
      'Give each address more time',
      'export NODE_OPTIONS=--network-family-autoselection-attempt-timeout=2500',
      {
        option: 'autoSelectFamilyAttemptTimeout',
      },
    ),
  ],
  stages: [
    {
      title: 'a server needs a second to accept, and the other address of its name has no route',
      needs: ['network'],
      async stage(stage) {
        const { client, server, addresses } = await stage.network();
        const { pid, port } = await server.nodeServer({ port: stage.freePort(), host: '0.0.0.0' });
        // The first packet of each connection is lost; the client sends the next one after a second.
        await server.nft(
          `table inet stage { set seen { type inet_service; flags dynamic,timeout; timeout 20s; }; chain input { type filter hook input priority 0; tcp dport ${port} tcp flags & (syn | ack) == syn tcp sport @seen accept; tcp dport ${port} tcp flags & (syn | ack) == syn add @seen { tcp sport } drop; }; }`,
        );
        await client.shell('ip -6 route del default');
        return stage.reached({
          words: [`slow.stage.test:${port}`],
          description: `a Node server (pid ${pid}) loses the first packet of each client, and its name has an IPv6 address without a route`,
          from: [
            ...client.enter,
            ...stage.withFiles({
              '/etc/hosts': `${addresses.server.ipv4} slow.stage.test\n2001:db8::1 slow.stage.test\n`,
              '/etc/nsswitch.conf': 'hosts: files\n',
            }),
          ],
        });
      },
      expect: { reachable: true, errno: null, remedies: ['set-option'] },
    },
  ],
});
