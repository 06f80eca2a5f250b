import { list } from '../shared/words.ts';
import { targetCause } from './form.ts';
import { look } from './shared/look.ts';

/** No name server answered: nothing is known of the name. */
export default targetCause({
  id: 'resolver-silent',
  title: 'No name server answers',
  on: ['linux'],
  at: 'name',
  page: {
    see: '`getaddrinfo EAI_AGAIN db.internal`, after some seconds. Other names fail alike.',
    why: 'The name servers of /etc/resolv.conf do not answer, or refuse to. The target may be fine: its address was never asked. Mostly a VPN that is down, a container without a network, or a local resolver that does not run.',
    now: 'Ask a name server yourself: `dig @SERVER NAME`. Start the local resolver (`systemctl status systemd-resolved`), or reconnect the VPN.',
    prevent: 'Name at least two servers in /etc/resolv.conf, of which one is not behind the VPN.',
  },
  recognise({ target, name }) {
    if (target.protocol === 'unix' || name === null || name.errno === null || name.addresses.length > 0) return null;
    const servers = name.servers ?? [];
    const mute = servers.filter(({ says }) => says === 'silent' || says === 'refused');
    if (servers.some(({ says }) => says === 'answers')) return null;
    if (mute.length === 0 && name.errno !== 'ETIMEDOUT') return null;
    return {
      host: target.host,
      errno: name.errno,
      elapsedMs: Math.round(name.elapsedMs),
      silent: mute.filter(({ says }) => says === 'silent').map(({ address }) => address),
      refusing: mute.filter(({ says }) => says === 'refused').map(({ address }) => address),
    };
  },
  say: ({ host, silent, refusing, elapsedMs }) =>
    silent.length + refusing.length === 0
      ? `The resolver of this machine gave no address of ${host} within ${elapsedMs} ms`
      : `The address of ${host} is not known: ${[
          ...(silent.length === 0 ? [] : [`${list(silent)} ${silent.length === 1 ? 'does' : 'do'} not answer`]),
          ...(refusing.length === 0 ? [] : [`${list(refusing)} ${refusing.length === 1 ? 'refuses' : 'refuse'} to`]),
        ].join(', ')}`,
  remedies: ({ silent, refusing }, { advice }) => {
    const [first] = [...silent, ...refusing];
    return [
      look(
        'Check whether the name server can be reached',
        first === undefined ? null : `rebind reach udp/${first.includes(':') ? `[${first}]` : first}:53`,
      ),
      look('Look at which name servers are used', advice.network?.nameServers),
    ];
  },
  stages: [
    {
      title: 'nobody answers on the address of the name server',
      needs: ['network'],
      async stage(stage) {
        const host = await stage.host();
        return stage.reached({
          words: [`db.stage.test:${stage.freePort()}`, '--timeout', '8s'],
          description: 'no program answers on port 53 of the name server',
          from: [
            ...host.enter,
            ...stage.withFiles({
              '/etc/resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
              '/etc/nsswitch.conf': 'hosts: files dns\n',
            }),
          ],
        });
      },
      expect: { reachable: false, errno: 'EAI_AGAIN', remedies: ['investigate', 'investigate'] },
    },
  ],
});
