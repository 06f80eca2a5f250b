import { list } from '../shared/words.ts';
import { targetCause } from './form.ts';
import { chain } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** Faster failures, such as a refusal, cost a client nothing. */
const slowMs = 100;

/** An address that does not answer stands before one that does. */
export default targetCause({
  id: 'first-address-dead',
  title: 'The first address of the name does not answer, a later one does',
  on: ['linux'],
  at: 'name',
  getsThrough: true,
  page: {
    see: 'Every connection takes a quarter of a second longer than it should (Node, curl), or two seconds and more (clients that try one address after the other), or fails (clients that try only the first one).',
    why: 'A name has several addresses and clients try them in order. The first one is dead: an AAAA record for a machine without IPv6, an old A record, a line in the hosts file.',
    now: 'Remove the address from DNS or from the hosts file, or make it answer.',
    prevent: 'Watch every address of a name, not the name. Remove AAAA records where no program listens on IPv6.',
  },
  recognise({ target, addresses }) {
    if (target.protocol === 'unix' || addresses.length < 2) return null;
    const works = addresses.findIndex(
      ({ outcome, cause }) => (outcome === 'answered' || outcome === 'accepted') && cause === null,
    );
    const dead = addresses
      .slice(0, Math.max(0, works))
      .filter(({ outcome, elapsedMs }) => outcome === 'no-answer' || (elapsedMs ?? 0) > slowMs);
    const [first] = dead;
    if (first === undefined) return null;
    return { host: target.host, dead: dead.map(({ address }) => address), works: addresses[works]?.address ?? '' };
  },
  say: ({ host, dead, works }) =>
    `Clients of ${host} try ${list(dead)} first, which ${dead.length === 1 ? 'does' : 'do'} not answer, before ${works}`,
  remedies: ({ dead, works }) => [
    change('use-address', `Let clients connect to ${works}`, null, { addresses: [works] }),
    change(
      'change-name',
      `Remove ${list(dead)} from the name, or make ${dead.length === 1 ? 'it' : 'them'} answer`,
      null,
      { addresses: dead },
    ),
  ],
  stages: [
    {
      title: 'a name has an address that is silent before one that answers',
      needs: ['network'],
      async stage(stage) {
        const { client, server, router, addresses } = await stage.network();
        const { pid, port } = await server.nodeServer({ port: stage.freePort(), host: '0.0.0.0' });
        await router.nft(chain('forward', `meta nfproto ipv6 tcp dport ${port} drop`));
        return stage.reached({
          words: [`app.stage.test:${port}`],
          description: `a Node server (pid ${pid}) answers on ${addresses.server.ipv4}, and its name has ${addresses.server.ipv6} first`,
          from: [
            ...client.enter,
            ...stage.withFiles({
              '/etc/hosts': `${addresses.server.ipv6} app.stage.test\n${addresses.server.ipv4} app.stage.test\n`,
              '/etc/nsswitch.conf': 'hosts: files\n',
            }),
          ],
        });
      },
      expect: { reachable: true, errno: null, remedies: ['use-address', 'change-name'] },
    },
  ],
});
