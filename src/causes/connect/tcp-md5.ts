import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { droppedBySocket } from './shared/dropped.ts';
import { alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** The listener itself drops the packet, and the kernel counts why. */
export default addressCause({
  id: 'tcp-md5',
  title: 'The server expects TCP connections that are signed with MD5',
  on: ['linux'],
  at: 'listener',
  page: {
    see: 'The connect hangs; other clients of the same server get through.',
    why: 'The listener has a key for the address of this client (`TCP_MD5SIG`, RFC 2385), as BGP routers do. The kernel drops every packet that is not signed with it, and counts it (TCPMD5NotFound).',
    now: 'Give the client the same key, or remove the key of its address from the server.',
    prevent: 'Configure both ends of a BGP session alike; leave keys to routers.',
  },
  recognise(question) {
    const dropped = droppedBySocket(question);
    if (dropped === null || dropped.reason !== 'TcpExt.TCPMD5NotFound') return null;
    const { endpoint, uid, holders } = dropped;
    return { endpoint, uid, holders };
  },
  say: ({ endpoint, uid, holders }) =>
    `${processes(holders, uid)} listens on ${endpoint} and expects a TCP MD5 signature, which this client does not send`,
  remedies: () => [
    change('set-option', 'Give the client the same key, or remove the key of its address from the server', null),
  ],
  stages: [
    {
      title: 'a listener with that option',
      needs: ['network'],
      stage: (stage) =>
        alone(stage, 'a program listens on 127.0.0.1:PORT and has an MD5 key for its clients', async (host, port) => {
          const server = await host.actor('server');
          const listener = await server.open();
          // IPPROTO_TCP, TCP_MD5SIG
          await listener.setRaw(6, 14, md5Key('127.0.0.1'));
          await listener.bind('127.0.0.1', port);
          await listener.listen();
          return server;
        }),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['set-option'], asUser: { cause: 'tcp-md5' } },
    },
  ],
});

/** struct tcp_md5sig (include/uapi/linux/tcp.h): an address, its flags and length, and a key of three bytes. */
function md5Key(address: string): string {
  const hex = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, '0');
  const parts = address.split('.').map((part) => hex(Number(part), 1));
  const sockaddr = `02000000${parts.join('')}`.padEnd(256, '0');
  return `${sockaddr}0000030000000000${'616263'.padEnd(160, '0')}`;
}
