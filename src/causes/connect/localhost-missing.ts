import { targetCause } from './form.ts';
import { change } from './shared/look.ts';

/** localhost is a name like others, and nobody knows it. */
export default targetCause({
  id: 'localhost-missing',
  title: 'localhost is not in the hosts file',
  on: ['linux'],
  at: 'name',
  page: {
    see: '`getaddrinfo EAI_AGAIN localhost` or `ENOTFOUND localhost`, mostly in a container that was made from scratch.',
    why: '`localhost` is looked up like any other name: first in /etc/hosts, then by DNS, where nobody should answer it. Without its line it has no address.',
    now: 'Add the lines `127.0.0.1 localhost` and `::1 localhost` to /etc/hosts, or write `127.0.0.1`.',
    prevent: 'Start images from a base that has /etc/hosts, and let the container engine write it.',
  },
  recognise({ target, name }) {
    if (target.protocol === 'unix' || name === null || name.errno === null) return null;
    if (!/^(.*\.)?localhost\.?$/i.test(target.host)) return null;
    return { host: target.host, errno: name.errno };
  },
  say: ({ host }) => `${host} has no address: the hosts file does not name it`,
  remedies: () => [
    change('change-name', 'Add "127.0.0.1 localhost" and "::1 localhost" to the hosts file', null, {
      host: 'localhost',
    }),
    change('use-address', 'Write 127.0.0.1 instead of localhost', null, { addresses: ['127.0.0.1'] }),
  ],
  stages: [
    {
      title: 'the hosts file is empty',
      needs: ['network'],
      async stage(stage) {
        const host = await stage.host();
        return stage.reached({
          words: [`localhost:${stage.freePort()}`, '--timeout', '8s'],
          description: 'the hosts file does not name localhost',
          from: [
            ...host.enter,
            ...stage.withFiles({
              '/etc/hosts': '',
              '/etc/resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
              '/etc/nsswitch.conf': 'hosts: files dns\n',
            }),
          ],
        });
      },
      expect: { reachable: false, remedies: ['use-address', 'change-name'] },
    },
  ],
});
