import { familyOf } from '../../model/address.ts';
import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across, alone } from './shared/hosts.ts';
import { change, connectTo } from './shared/look.ts';

/** net.ipv6.conf.all.disable_ipv6: sockets of IPv6 can be made, but there is no address to connect from. */
export default addressCause({
  id: 'ipv6-disabled',
  title: 'IPv6 is disabled on this machine',
  on: ['linux'],
  at: 'client',
  page: {
    see: '`EADDRNOTAVAIL`, "Cannot assign requested address", for `::1` or any other IPv6 address, at once. In a container it is often `localhost`, whose first address is `::1`.',
    why: 'The setting `net.ipv6.conf.all.disable_ipv6` is 1, as in many containers. Programs can still open IPv6 sockets, but the machine has no IPv6 address, not even `::1`. /etc/hosts may still list `::1 localhost`.',
    now: 'Connect to the IPv4 address, `127.0.0.1` instead of `localhost`. Or enable IPv6: `sysctl -w net.ipv6.conf.all.disable_ipv6=0`; for Docker, `--sysctl net.ipv6.conf.all.disable_ipv6=0`.',
    prevent: 'Where IPv6 is off, remove the line `::1 localhost` from /etc/hosts.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || familyOf(evidence.endpoint.address) !== 6) return null;
    const { dryRun, ipv6Disabled, route } = evidence.before;
    const fails = (dryRun?.errno ?? route?.errno ?? null) !== null;
    return ipv6Disabled === true && fails ? { endpoint: placeOf(evidence), address: evidence.endpoint.address } : null;
  },
  say: ({ address }) => `IPv6 is disabled on this machine, so that nothing can connect to ${address}`,
  remedies: ({ address }, question) => [
    connectTo(
      address === '::1' ? 'Connect to 127.0.0.1' : 'Connect to an IPv4 address of the host',
      address === '::1' ? ['127.0.0.1'] : [],
    ),
    change(
      'set-option',
      'Enable IPv6 until reboot',
      question.advice.network?.set('net.ipv6.conf.all.disable_ipv6', '0'),
      {
        setting: 'net.ipv6.conf.all.disable_ipv6',
      },
    ),
  ],
  stages: [
    {
      title: 'a host with IPv6 disabled asks for ::1',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'IPv6 is disabled on the host, and a server listens on 127.0.0.1:PORT',
          async (host, port) => {
            await host.setting('ipv6.conf.all.disable_ipv6', '1');
            const actor = await host.actor('server');
            const socket = await actor.open();
            await socket.bind('127.0.0.1', port);
            await socket.listen();
          },
          { ipv6: true },
        ),
      expect: { reachable: false, errno: 'EADDRNOTAVAIL', remedies: ['use-address', 'set-option'] },
    },
    {
      title: 'a client with IPv6 disabled asks for another host',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'IPv6 is disabled on the client',
          ({ client }) => client.setting('ipv6.conf.all.disable_ipv6', '1'),
          { ipv6: true },
        ),
      expect: { reachable: false, errno: 'EADDRNOTAVAIL', remedies: ['use-address', 'set-option'] },
    },
  ],
});
