import { agree, list, named, processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { absentFrom, holdersOf, listenEverywhere } from './shared/absent.ts';
import { alone } from './shared/hosts.ts';
import { takes } from './shared/take.ts';

/** SO_BINDTODEVICE: the listener takes the address, over another device. */
export default addressCause({
  id: 'other-device',
  title: 'The server listens on one network interface, and the connection comes over another',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED`, at once, although `ss -tln` shows a listener on the address. Clients of another network get through.',
    why: 'The listener is bound to one network interface (`SO_BINDTODEVICE`; `BindToDevice=` in a systemd socket unit). A connection to one of the addresses of this machine from this machine itself always comes over `lo`, whatever interface has the address.',
    now: 'Connect from the network of that interface, or let the server listen without it.',
    prevent:
      'Bind to an address instead of an interface, unless two networks share addresses. `ss` shows the interface behind a percent sign: `0.0.0.0%eth0:80`.',
  },
  recognise(question) {
    const absent = absentFrom(question);
    if (absent === null) return null;
    const bound = absent.listeners.filter((socket) => socket.device !== null && takes(socket, absent.address));
    const [first] = bound;
    if (first === undefined) return null;
    return {
      endpoint: absent.endpoint,
      devices: [...new Set(bound.flatMap(({ device }) => device ?? []))],
      uid: first.uid,
      holders: holdersOf(absent.here, bound),
    };
  },
  say: ({ endpoint, devices, uid, holders }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'takes', 'take')} connections to ${endpoint} only over the interface ${list(devices)}`,
  remedies: ({ devices }) => [
    listenEverywhere('::', `Let the server listen without SO_BINDTODEVICE (it is ${list(devices)})`),
  ],
  stages: [
    {
      title: 'a program listens on one device, and is asked over the loopback',
      needs: ['network'],
      stage: (stage) =>
        alone(stage, 'a program listens on port PORT of the device stage0 alone', async (host, port) => {
          await host.shell(
            'ip link add stage0 type veth peer name stage1',
            'ip link set stage1 up',
            'ip addr add 10.9.9.1/24 dev stage0',
            'ip link set stage0 up',
          );
          const actor = await host.actor('server');
          const listener = await actor.open({ device: 'stage0' });
          await listener.bind('0.0.0.0', port);
          await listener.listen();
          return actor;
        }),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['listen-address'] },
    },
  ],
});
