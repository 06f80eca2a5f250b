import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** Every port of the automatic range is in use towards exactly this address and port (__inet_hash_connect, EADDRNOTAVAIL). */
export default addressCause({
  id: 'no-local-port',
  title: 'No local port is left for a connection to this address and port',
  on: ['linux'],
  at: 'client',
  page: {
    see: '`EADDRNOTAVAIL`, "Cannot assign requested address", from a connect to one address and port; another port of the same host can be reached.',
    why: 'Each connection to the same address and port needs its own local port, from the range `net.ipv4.ip_local_port_range`: 28,232 by default. They are in use by open connections, or by closed ones that stay in TIME_WAIT for a minute, because this side closed first.',
    now: 'Wait a minute if they are in TIME_WAIT: `ss -tan dst ADDRESS | sort | uniq -c`. Widen the range: `sysctl -w net.ipv4.ip_local_port_range="10240 65535"`.',
    prevent:
      'Reuse connections: keep-alive, a pool, HTTP/2. Let the server close first, or give it more addresses. `net.ipv4.tcp_tw_reuse=1` lets ports be used again after a second.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const attempt = evidence?.attempt ?? null;
    if (evidence === null || attempt?.errno !== 'EADDRNOTAVAIL' || attempt.by !== 'connect') return null;
    if ((evidence.before.dryRun?.errno ?? null) !== null) return null;
    const ports = evidence.before.localPorts;
    const size = ports === null ? null : ports.range[1] - ports.range[0] + 1 - ports.reserved;
    // Without the count it is still what the kernel says; with one that is far off it is something else.
    if (ports !== null && size !== null && ports.used < size / 2) return null;
    return { endpoint: placeOf(evidence), size, used: ports?.used ?? null, range: ports?.range ?? null };
  },
  say: ({ endpoint, size, used, range }) =>
    size === null || range === null
      ? `This machine has no local port left for a connection to ${endpoint}`
      : `This machine has no local port left for a connection to ${endpoint}: ${used} of the ${size} ports from ${range[0]} to ${range[1]} are in use towards it`,
  remedies(_args, question) {
    const wider = question.advice.moreAutomaticPorts;
    return [
      change('wait', 'Wait a minute if closed connections hold the ports (TIME_WAIT)', null),
      ...(wider === null
        ? []
        : [change('set-option', 'Widen the range of local ports', wider.command, { setting: wider.setting })]),
    ];
  },
  stages: [
    {
      title: 'every port of the range has an open connection to the same port of the server',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the client has two local ports, and two connections to port PORT of the server',
          async ({ client, server, addresses }, port) => {
            await client.setting('ipv4.ip_local_port_range', '40000 40001');
            const listener = await (await server.actor('server')).open();
            await listener.bind('0.0.0.0', port);
            await listener.listen();
            const other = await client.actor('client');
            for (const _ of [1, 2]) await (await other.open()).connect(addresses.server.ipv4, port);
          },
        ),
      expect: { reachable: false, errno: 'EADDRNOTAVAIL', remedies: ['wait', 'set-option'] },
    },
    {
      title: 'closed connections hold every port of the range in TIME_WAIT',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the client has two local ports, and both are in TIME_WAIT towards port PORT of the server',
          async ({ client, server, addresses }, port) => {
            await client.setting('ipv4.ip_local_port_range', '40000 40001');
            await client.setting('ipv4.tcp_tw_reuse', '0');
            const listener = await (await server.actor('server')).open();
            await listener.bind('0.0.0.0', port);
            await listener.listen();
            const other = await client.actor('client');
            for (const _ of [1, 2]) {
              const connection = await other.open();
              await connection.connect(addresses.server.ipv4, port);
              const accepted = await listener.accept();
              await connection.close();
              await accepted.close();
            }
          },
        ),
      expect: { reachable: false, errno: 'EADDRNOTAVAIL', remedies: ['wait', 'set-option'] },
    },
  ],
});
