import { targetCause } from './form.ts';
import { change, look } from './shared/look.ts';

/** DNS answered: there is no such name. */
export default targetCause({
  id: 'name-not-found',
  title: 'The name does not exist',
  on: ['linux'],
  at: 'name',
  page: {
    see: '`getaddrinfo ENOTFOUND db.internal`.',
    why: 'A name server answered that the name does not exist, or has no address. It is misspelt, it belongs to a network that this machine is not in (the name of a service in Docker or Kubernetes, a VPN), or the search domain is missing that would complete it.',
    now: 'Check its spelling and the variable that it comes from. Names of services of compose work inside its network alone; on the host write `localhost` and the published port.',
    prevent: 'Keep names of hosts in one place of the configuration, and test them where they are used.',
  },
  recognise({ target, name }) {
    if (target.protocol === 'unix' || name === null || name.addresses.length > 0) return null;
    if (name.errno !== 'ENOTFOUND' && name.errno !== 'ENODATA') return null;
    return { host: target.host, searched: [...name.searchDomains] };
  },
  say: ({ host, searched }) =>
    `The name ${host} does not exist${searched.length === 0 ? '' : `, also not in ${searched.slice(0, 3).join(', ')}`}`,
  remedies: ({ host }, { advice }) => [
    change('change-name', 'Check the spelling of the name, and the variable that it comes from', null, { host }),
    look('Look at what the name server answers', advice.network?.lookUp(host)),
  ],
  stages: [
    {
      title: 'a name server answers that the name does not exist',
      needs: ['network'],
      async stage(stage) {
        const host = await stage.host();
        await host.nodeProgram(nameServer('NXDOMAIN'));
        return stage.reached({
          words: [`db.stage.test:${stage.freePort()}`, '--timeout', '8s'],
          description: 'the name server answers that the name does not exist',
          from: [
            ...host.enter,
            ...stage.withFiles({
              '/etc/resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
              '/etc/nsswitch.conf': 'hosts: files dns\n',
            }),
          ],
        });
      },
      expect: { reachable: false, errno: 'ENOTFOUND', remedies: ['change-name', 'investigate'] },
    },
  ],
});

/** A name server in a few lines (RFC 1035): it answers every question with this code. */
function nameServer(code: 'NXDOMAIN'): string {
  const rcode = { NXDOMAIN: 3 }[code];
  return `const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (query, { port, address }) => {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(0x8180 | ${rcode}, 2);
  answer.writeUInt16BE(0, 10);
  let end = 12;
  while (answer[end] !== 0) end += answer[end] + 1;
  socket.send(answer.subarray(0, end + 5), port, address);
});
socket.bind(53, '127.0.0.1', () => require('node:fs').writeSync(1, 'listening on port 53\\n'));
`;
}
