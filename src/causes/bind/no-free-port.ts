import { cause } from '../cause.ts';

/** Port 0, and nothing left to choose from. */
export default cause({
  id: 'no-free-port',
  title: 'No automatic port is left',
  on: ['linux', 'darwin'],
  page: {
    see: 'A server on port 0, "any free port", fails with `EADDRINUSE`, or connections fail with `EADDRNOTAVAIL`, on a machine with very many sockets.',
    why: 'For port 0 the kernel takes a port of `net.ipv4.ip_local_port_range` (32768 to 60999 by default) that nobody has on that address, not even a closed connection in TIME_WAIT; `SO_REUSEADDR` does not help here. All of them are taken: by very many connections, by a program that opens sockets and never closes them, or because the range is small or reserved.',
    now: '`rebind ls` and `ss -s` show which programs have so many sockets. Widen the range: `sudo sysctl -w net.ipv4.ip_local_port_range="10240 65535"`. A definite port outside of the range still works.',
    prevent:
      'Close sockets, use connections again (keep-alive, a pool), let the clients close first. Servers that bind port 0 for tests should close before they open the next one.',
  },
  recognise({ errno, request, facts }) {
    const { endpoint } = request;
    // macOS says EADDRNOTAVAIL for IPv4 and EAGAIN for IPv6.
    const full = facts.platform === 'darwin' ? ['EADDRNOTAVAIL', 'EAGAIN'] : ['EADDRINUSE'];
    if (errno === null || !full.includes(errno) || endpoint.protocol === 'unix' || endpoint.port !== 0) return null;
    return { address: endpoint.address, protocol: endpoint.protocol, range: facts.settings.automaticPorts };
  },
  say({ address, protocol, range }) {
    const from = range === null ? 'the automatic range' : `${range[0]} to ${range[1]}`;
    return `No ${protocol === 'udp' ? 'UDP' : 'TCP'} port from ${from} is free on ${address}, so the kernel cannot choose one`;
  },
  remedies: ({ range }, { advice: { moreAutomaticPorts } }) => [
    {
      remedy: 'use-port',
      sentence: 'Use a fixed port outside the automatic range',
      command: null,
      automatic: false,
      args: { range },
    },
    ...(moreAutomaticPorts === null
      ? []
      : [
          {
            remedy: 'set-option' as const,
            sentence: 'Widen the range of automatic ports until reboot',
            command: moreAutomaticPorts.command,
            automatic: false,
            args: { setting: moreAutomaticPorts.setting },
          },
        ]),
  ],
  stages: [
    {
      title: 'every port of a small automatic range is taken',
      needs: ['namespace'],
      async stage(stage) {
        stage.setting('ipv4.ip_local_port_range', '40000 40003');
        stage.defer(async () => stage.setting('ipv4.ip_local_port_range', '32768 60999'));
        const actor = await stage.actor('hoarder');
        for (let port = 40_000; port <= 40_003; port++) {
          const socket = await actor.open({ reuseAddress: true });
          await socket.bind('127.0.0.1', port);
        }
        return stage.staged({
          request: stage.tcp('127.0.0.1', 0),
          description: `the automatic range is 40000 to 40003, and a program (pid ${actor.pid}) has all four ports`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['set-option', 'use-port'] },
    },
  ],
});
