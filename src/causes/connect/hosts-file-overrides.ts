import { list } from '../shared/words.ts';
import { targetCause } from './form.ts';
import { change } from './shared/look.ts';

/** The hosts file says something else than DNS, and what it says does not answer. */
export default targetCause({
  id: 'hosts-file-overrides',
  title: 'The hosts file gives another address than DNS',
  on: ['linux'],
  at: 'name',
  page: {
    see: 'The connection fails on this machine alone; `dig` shows another address than the one that clients here use.',
    why: '/etc/hosts comes before DNS. A line that was added for a test, by a VPN or by a tool is still there, and the address that it names does not answer any more.',
    now: 'Remove the line, or correct its address. `getent hosts NAME` shows what clients get.',
    prevent: 'Mark lines that you add to /etc/hosts with a comment and a date. Use a name of its own for a test.',
  },
  recognise({ target, name, addresses }) {
    if (target.protocol === 'unix' || name === null || name.dns === null || name.hosts === null) return null;
    if (addresses.some(({ outcome, cause }) => (outcome === 'answered' || outcome === 'accepted') && cause === null))
      return null;
    const dns = name.dns.addresses;
    const here = name.hosts.map(({ address }) => address);
    if (dns.length === 0 || here.length === 0 || here.some((address) => dns.includes(address))) return null;
    return { host: target.host, lines: name.hosts.map(({ line }) => line), here, dns: [...dns] };
  },
  say: ({ host, lines, here, dns }) =>
    `Line ${lines[0] ?? 0} of the hosts file gives ${host} the address ${list(here)}, where DNS says ${list(dns.slice(0, 3))}`,
  remedies: ({ lines, host }) => [
    change(
      'change-name',
      `Remove or correct line ${lines.join(', ')} of the hosts file, if ${host} is not meant to be there`,
      null,
      { lines },
    ),
  ],
  stages: [
    {
      title: 'the hosts file names an address that refuses, and DNS another one',
      needs: ['network'],
      async stage(stage) {
        const host = await stage.host();
        await host.nodeProgram(nameServer);
        return stage.reached({
          words: [`app.stage.test:${stage.freePort()}`, '--timeout', '8s'],
          description: 'the hosts file gives the name the address 127.0.0.9, and DNS the address 127.0.0.1',
          from: [
            ...host.enter,
            ...stage.withFiles({
              '/etc/hosts': '# a test\n127.0.0.9 app.stage.test\n',
              '/etc/resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
              '/etc/nsswitch.conf': 'hosts: files dns\n',
            }),
          ],
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED', also: ['nothing-listens'] },
    },
  ],
});

/** A name server that answers every question for an IPv4 address with 127.0.0.1 (RFC 1035). */
const nameServer = `const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (query, { port, address }) => {
  let end = 12;
  while (query[end] !== 0) end += query[end] + 1;
  const isA = query.readUInt16BE(end + 1) === 1;
  const question = Buffer.from(query.subarray(0, end + 5));
  question.writeUInt16BE(0x8180, 2);
  question.writeUInt16BE(isA ? 1 : 0, 6);
  question.writeUInt16BE(0, 10);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
  socket.send(isA ? Buffer.concat([question, record]) : question, port, address);
});
socket.bind(53, '127.0.0.1', () => require('node:fs').writeSync(1, 'listening on port 53\\n'));
`;
