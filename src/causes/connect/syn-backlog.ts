import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { droppedBySocket } from './shared/dropped.ts';
import { across, chain } from './shared/hosts.ts';
import { change, look } from './shared/look.ts';

/** TCPReqQFullDrop: half-open connections fill the backlog, and SYN cookies are off. */
export default addressCause({
  id: 'syn-backlog',
  title: 'Half-open connections fill the backlog of the server',
  on: ['linux'],
  at: 'queue',
  page: {
    see: 'The connect hangs. `ss -tn state syn-recv` shows many connections to the port.',
    why: 'Clients began connections and never finished them: a flood of SYNs, or answers that do not reach the clients. With `net.ipv4.tcp_syncookies=0` the kernel drops further requests once they fill the backlog (TCPReqQFullDrop).',
    now: 'Turn SYN cookies on: `sudo sysctl -w net.ipv4.tcp_syncookies=1`.',
    prevent:
      'Leave `net.ipv4.tcp_syncookies` at 1, its default. Many half-open connections without an attack mean that answers get lost: look at the way back.',
  },
  recognise(question) {
    const dropped = droppedBySocket(question);
    if (dropped === null || dropped.reason !== 'TcpExt.TCPReqQFullDrop') return null;
    const { endpoint, uid, holders } = dropped;
    return { endpoint, uid, holders };
  },
  say: ({ endpoint, uid, holders }) =>
    `The kernel drops connections to ${endpoint} because half-open ones fill the backlog of ${processes(holders, uid).replace(/^A process /, 'a process ')}`,
  remedies: (_args, { advice }) => [
    change('set-option', 'Turn SYN cookies on', advice.network?.set('net.ipv4.tcp_syncookies', '1')),
    look('Look where the half-open connections come from', advice.network?.halfOpen),
  ],
  stages: [
    {
      title: 'half-open connections fill the backlog, without SYN cookies',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'clients that never complete their connections fill the backlog of a program on port PORT',
          async ({ client, server, addresses }, port) => {
            await server.setting('ipv4.tcp_syncookies', '0');
            const socket = await (await server.actor('server')).open();
            await socket.bind('0.0.0.0', port);
            await socket.listen(4);
            // What the server answers is dropped, so that each connection stays half open.
            await client.nft(chain('input', `tcp sport ${port} drop`));
            const clients = await client.actor('clients');
            for (let i = 0; i < 8; i++) await (await clients.open()).beginConnect(addresses.server.ipv4, port);
          },
          { asks: 'server', host: '127.0.0.1' },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['set-option', 'investigate'] },
    },
  ],
});
