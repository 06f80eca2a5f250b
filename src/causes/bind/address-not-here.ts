import { formatAddress } from '../../model/address.ts';
import type { InetEndpoint } from '../../model/endpoint.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { asked, capital, inWords, list } from '../shared/words.ts';

const shownAddresses = 6;

/** EADDRNOTAVAIL, and what Linux reports instead of it where a device, a zone or IPv6 is missing. */
export default cause({
  id: 'address-not-here',
  title: 'This address does not belong to this machine',
  on: ['linux'],
  page: {
    see: '`listen EADDRNOTAVAIL: address not available 10.9.9.9:3000`. Often in a container or after a move: the configuration names the address of another machine, of the host, or of a network card that is not up yet.',
    why: 'A server can only listen on addresses of its own machine, and a container has its own. An address of a VPN or a shared (virtual) address is there only while the VPN or the cluster gives it to this machine. A link-local address (`fe80::…`) needs the name of its network card (`%eth0`). `ENODEV` means that the card that was named is missing, `EAFNOSUPPORT` that there is no IPv6.',
    now: 'Listen on one of the addresses that the answer lists, or on every address: `0.0.0.0` or `::`. `ip address` shows all of them.',
    prevent:
      'Do not write addresses of one machine into a configuration for many. If the address arrives later, for example with keepalived, set `IP_FREEBIND` before bind: `listen(server, { host, port, freeBind: true })`. A systemd unit waits for it with `After=network-online.target`.',
  },
  recognise(question) {
    const { errno, request, facts } = question;
    const { endpoint, options } = request;
    if (endpoint.protocol === 'unix') return null;
    const reason = reasonOf(errno, endpoint);
    if (reason === null) return null;
    const family = endpoint.address.includes(':') ? 6 : 4;
    const usable = reason === 'no-ipv6' ? 4 : family;
    const sameFamily = facts.settings.localAddresses.filter(({ address }) => address.includes(':') === (usable === 6));
    return {
      endpoint: asked(question),
      address: endpoint.address,
      reason,
      device: options.device,
      tentative: facts.settings.localAddresses.some(
        (local) => local.tentative === true && local.address.split('%')[0] === endpoint.address.split('%')[0],
      ),
      here: [...new Set(sameFamily.map(({ address }) => address))],
      everywhere: family === 6 && facts.settings.ipv6 ? '::' : '0.0.0.0',
    };
  },
  say({ address, endpoint, reason, device, tentative }) {
    switch (reason) {
      case 'no-zone':
        return `${address} is a link-local address without a network interface`;
      case 'no-device':
        return `This machine has no network interface ${device ?? address.split('%')[1] ?? ''}`;
      case 'no-ipv6':
        return `${capital(inWords(endpoint))} needs IPv6, which this machine does not have`;
      case 'not-here':
        return tentative
          ? `${address} is an address of this machine that cannot be used yet: duplicate address detection has not approved it, or has found it on another machine`
          : `${address} is not an address of this machine`;
    }
  },
  remedies({ address, reason, here, everywhere, tentative }, question): Remedy[] {
    const { endpoint } = question.request;
    const port = endpoint.protocol === 'unix' ? 0 : endpoint.port;
    if (reason === 'no-zone') {
      const { localAddresses } = question.facts.settings;
      const zones = [
        ...new Set(
          localAddresses.filter((local) => local.address.split('%')[0] === address).map(({ device }) => device),
        ),
      ];
      if (zones.length > 0) {
        const named = zones.map((zone) => `${address}%${zone}`);
        return [useAddress(`Name the network interface: ${list(named.map((one) => formatAddress(one, port)))}`, named)];
      }
      const others = here.filter((one) => one.includes('%')).slice(0, shownAddresses);
      return [
        useAddress(`No network interface of this machine has ${address}: listen on ${list([everywhere, ...others])}`, [
          everywhere,
          ...others,
        ]),
      ];
    }
    if (reason === 'no-device')
      return [
        {
          remedy: 'set-option',
          sentence: 'Name a network interface of this machine; "ip link" lists them',
          command: null,
          automatic: false,
          args: { option: 'SO_BINDTODEVICE' },
        },
      ];
    if (tentative && reason === 'not-here') return [approve, freeBind];
    const some = here.slice(0, shownAddresses);
    const wanted = some.length === 0 ? everywhere : `${everywhere}, or on ${list(some)}`;
    const use = useAddress(`Listen on every address, ${wanted}`, [everywhere, ...some]);
    return reason === 'not-here' ? [use, freeBind] : [use];
  },
  stages: [
    {
      title: 'a server wants an IPv4 address of another machine',
      needs: ['namespace'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('10.9.9.9', stage.freePort()),
          description: '10.9.9.9 is not an address of this machine',
        });
      },
      expect: { bindable: false, errno: 'EADDRNOTAVAIL', remedies: ['use-address', 'set-option'] },
    },
    {
      title: 'a server wants an IPv6 address of another machine',
      needs: ['namespace', 'ipv6'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('2001:db8::1', stage.freePort()),
          description: '2001:db8::1 is not an address of this machine',
        });
      },
      expect: { bindable: false, errno: 'EADDRNOTAVAIL', remedies: ['use-address', 'set-option'] },
    },
    {
      title: 'an ordinary user wants port 80 on an IPv4 address of another machine: the address is asked for first',
      needs: ['namespace', 'unprivileged'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('10.9.9.9', 80),
          description: 'an ordinary user asks for port 80 on 10.9.9.9, which this machine does not have',
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EADDRNOTAVAIL', remedies: ['use-address', 'set-option'] },
    },
    {
      title: 'a server is to be bound to a network card that this machine does not have',
      needs: [],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('127.0.0.1', stage.freePort(), { device: 'rebind-none' }),
          description: 'a server is to be bound to rebind-none, which is no network card of this machine',
        });
      },
      expect: { bindable: false, errno: 'ENODEV', remedies: ['set-option'] },
    },
    {
      title: 'a server wants a link-local address without the name of a network card',
      needs: ['ipv6'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('fe80::1', stage.freePort()),
          description: 'fe80::1 needs the name of a network card',
        });
      },
      expect: { bindable: false, errno: 'EINVAL', remedies: ['use-address'] },
    },
  ],
});

function reasonOf(
  errno: Question['errno'],
  endpoint: InetEndpoint,
): 'not-here' | 'no-zone' | 'no-device' | 'no-ipv6' | null {
  if (errno === 'EADDRNOTAVAIL') return 'not-here';
  if (errno === 'ENODEV') return 'no-device';
  if (errno === 'EAFNOSUPPORT' && endpoint.address.includes(':')) return 'no-ipv6';
  const linkLocal = /^fe[89ab][0-9a-f]:/i.test(endpoint.address) && !endpoint.address.includes('%');
  return errno === 'EINVAL' && linkLocal ? 'no-zone' : null;
}

function useAddress(sentence: string, addresses: readonly string[]): Remedy {
  return { remedy: 'use-address', sentence, command: null, automatic: false, args: { addresses } };
}

const approve: Remedy = {
  remedy: 'wait',
  sentence:
    'Wait a second and try again. Where "ip -6 address" says dadfailed, another machine has the address: give this one another, or add it with nodad',
  command: null,
  automatic: false,
  args: {},
};

const freeBind: Remedy = {
  remedy: 'set-option',
  sentence: 'Set IP_FREEBIND before bind if this machine gets the address later',
  command: null,
  automatic: false,
  args: { option: 'IP_FREEBIND' },
};
