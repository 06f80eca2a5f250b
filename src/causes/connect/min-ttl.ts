import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { droppedBySocket } from './shared/dropped.ts';
import { alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** The listener itself drops the packet, and the kernel counts why. */
export default addressCause({
  id: 'min-ttl',
  title: 'The server drops packets that came through a router',
  on: ['linux'],
  at: 'listener',
  page: {
    see: 'The connect hangs, also from the machine of the server itself.',
    why: 'The listener asks for a minimum TTL (`IP_MINTTL`, RFC 5082, "ttl security" of BGP): a packet that was sent with a TTL of 64 is dropped where 255 is expected (TCPMinTTLDrop).',
    now: 'Let the client send with the TTL that the server expects (`IP_TTL`), or remove the option from the server.',
    prevent: 'Use the generalized TTL security only between neighbours that both set it.',
  },
  recognise(question) {
    const dropped = droppedBySocket(question);
    if (dropped === null || dropped.reason !== 'TcpExt.TCPMinTTLDrop') return null;
    const { endpoint, uid, holders } = dropped;
    return { endpoint, uid, holders };
  },
  say: ({ endpoint, uid, holders }) =>
    `${processes(holders, uid)} listens on ${endpoint} and drops packets whose TTL is too small (IP_MINTTL)`,
  remedies: () => [
    change(
      'set-option',
      'Let the client send with the TTL that the server expects (IP_TTL), or remove the option from the server',
      null,
    ),
  ],
  stages: [
    {
      title: 'a listener with that option',
      needs: ['network'],
      stage: (stage) =>
        alone(stage, 'a program listens on 127.0.0.1:PORT and asks for a TTL of 255', async (host, port) => {
          const server = await host.actor('server');
          const listener = await server.open();
          // IPPROTO_IP, IP_MINTTL
          await listener.setRaw(0, 21, 'ff000000');
          await listener.bind('127.0.0.1', port);
          await listener.listen();
          return server;
        }),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['set-option'], asUser: { cause: 'min-ttl' } },
    },
  ],
});
