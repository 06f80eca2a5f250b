import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** The device lo is down, as in a new network namespace. */
export default addressCause({
  id: 'loopback-down',
  title: 'The loopback interface is down',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`ENETUNREACH` for 127.0.0.1 and `EADDRNOTAVAIL` for `::1` in a new network namespace, or a connect to 127.0.0.1 that hangs although a server listens there.',
    why: 'The device `lo` is not up. A new network namespace (`unshare -n`, `PrivateNetwork=` without systemd, a sandbox) starts with it down and without addresses. If it is set down later, the routes stay, so that packets to this machine are dropped without an error.',
    now: 'Raise it: `ip link set lo up`.',
    prevent: 'Raise `lo` first in what makes the namespace.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const { link, route, dryRun, ipv6Disabled } = evidence.before;
    const { address } = evidence.endpoint;
    const args = { endpoint: placeOf(evidence), address };
    if (link?.device === 'lo' && !link.up) return args;
    // The kernel gives lo its addresses when it is first raised: without a route to them it never was.
    const fails = dryRun?.errno === 'ENETUNREACH' || dryRun?.errno === 'EADDRNOTAVAIL';
    const isLoopback = address === '::1' ? ipv6Disabled === false : address.startsWith('127.');
    return isLoopback && fails && route?.type !== 'local' ? args : null;
  },
  say: ({ address }) => `The loopback interface lo is down, so that nothing can connect to ${address}`,
  remedies: (_args, question) => [
    change('change-network', 'Raise the loopback interface', question.advice.network?.raise('lo')),
  ],
  stages: [
    {
      title: 'a new network namespace has never raised lo',
      needs: ['network'],
      stage: (stage) =>
        alone(stage, 'the loopback device has never been up', async (host) => {
          await host.shell('ip link set lo down', 'ip addr flush dev lo');
        }),
      expect: { reachable: false, errno: 'ENETUNREACH', remedies: ['change-network'] },
    },
    {
      title: 'lo was set down while a server listens on 127.0.0.1',
      needs: ['network'],
      stage: (stage) =>
        alone(stage, 'a Node server listens on 127.0.0.1:PORT, and lo was set down', async (host, port) => {
          const server = await host.nodeServer({ port, host: '127.0.0.1' });
          await host.shell('ip link set lo down');
          return server;
        }),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['change-network'] },
    },
  ],
});
