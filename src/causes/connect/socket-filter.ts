import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { droppedBySocket } from './shared/dropped.ts';
import { alone } from './shared/hosts.ts';
import { look } from './shared/look.ts';
import { stopServer } from './shared/untaken.ts';

/** The listener's drops grew and no counter says why: a filter on the socket. */
export default addressCause({
  id: 'socket-filter',
  title: 'A filter on the listener drops the connection',
  on: ['linux'],
  at: 'listener',
  page: {
    see: 'The connect hangs, although a program listens, its queue is empty and no firewall drops anything.',
    why: 'A program is attached to the listening socket (`SO_ATTACH_FILTER`, `SO_ATTACH_BPF`) and drops the packet: the drops of this very listener grew, and none of the other reasons that the kernel counts did. `rebind hold` attaches such a filter for the moment between two generations of a server, and holds new connections off without refusing them; that is over in seconds.',
    now: 'Ask again after some seconds. If it stays so, the program attached the filter itself: `ss -tln --bpf` shows it to root.',
    prevent: 'Attach filters to raw and packet sockets, not to listeners; use a firewall rule, which is visible.',
  },
  recognise(question) {
    const dropped = droppedBySocket(question);
    if (dropped === null || dropped.reason !== null) return null;
    const { endpoint, uid, holders, port } = dropped;
    return { endpoint, uid, holders, port };
  },
  say: ({ endpoint, uid, holders }) =>
    `A filter on the listener of ${processes(holders, uid).replace(/^A process /, 'a process ')} drops the connection to ${endpoint}`,
  remedies: ({ port }, { advice }) => [
    look('See the filter', advice.network?.socketFilters(port)),
    ...stopServer(port),
  ],
  stages: [
    {
      title: 'a listener has a filter that drops every packet',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a program listens on 127.0.0.1:PORT, and a filter on its socket drops every packet',
          async (host, port) => {
            const server = await host.actor('server');
            const listener = await server.open();
            await listener.dropPackets();
            await listener.bind('127.0.0.1', port);
            await listener.listen();
            return server;
          },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', asUser: { cause: 'socket-filter' } },
    },
  ],
});
