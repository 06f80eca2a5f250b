import { formatAddress } from '../../model/address.ts';
import { list, processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf, placeOf, undelivered, unsent } from './shared/attempts.ts';
import { whoHas } from './shared/holders.ts';
import { alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** The address is ours and no socket takes the datagram: the kernel answers "port unreachable" and counts Udp.NoPorts. */
export default addressCause({
  id: 'udp-nothing-receives',
  title: 'No program receives on this UDP port',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED` from a connected socket, at the next call. A socket that is not connected meets silence: Node reports nothing after `send`.',
    why: 'The address belongs to this machine, and no socket receives on this address and port. A server may be bound to another address, such as 127.0.0.1.',
    now: 'Start the server, or use the address that it is bound to. `ss -ulnp` lists the sockets of UDP.',
    prevent: 'Connect the socket of a client (`socket.connect` in Node), so that it learns of refusals.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence?.protocol !== 'udp' || evidence.ours !== true || evidence.before.lookup?.found !== null) return null;
    const datagram = 'datagram' in evidence ? evidence.datagram : null;
    if (datagram !== null && datagram.errno !== 'ECONNREFUSED') return null;
    if (unsent(evidence) > 0 || undelivered(evidence) > 0) return null;
    const others = evidence.before.sockets ?? [];
    if (others.some(({ remote }) => remote !== null)) return null;
    return {
      endpoint: placeOf(evidence),
      at: [...new Set(others.map(({ local }) => formatAddress(local.address, local.port)))],
      uid: others[0]?.uid ?? 0,
      ...whoHas(
        evidence.conditions,
        others.map(({ inode }) => inode),
      ),
    };
  },
  say: ({ endpoint, at, holders, uid }) =>
    at.length === 0
      ? `No program receives on ${endpoint}`
      : `No program receives on ${endpoint}: ${processes(holders, uid)} receives on ${list(at)} only`,
  remedies: ({ at }) => [
    at.length === 0
      ? change('start-server', 'Start the server', null)
      : change('use-address', `Send to ${list(at)}, or let the server receive on every address`, null, {
          addresses: at,
        }),
  ],
  stages: [
    {
      title: 'no program receives on a port of 127.0.0.1',
      needs: ['network'],
      stage: (stage) => alone(stage, 'no program receives on UDP port PORT', async () => {}, { udp: true }),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['start-server'] },
    },
    {
      title: 'a program receives on another address of the machine',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a program receives on 127.0.0.2, UDP port PORT',
          async (host, port) => {
            const actor = await host.actor('server');
            await (await actor.open({ kind: 'udp' })).bind('127.0.0.2', port);
            return actor;
          },
          { udp: true },
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['use-address'] },
    },
  ],
});
