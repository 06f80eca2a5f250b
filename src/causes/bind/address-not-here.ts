import { formatAddress } from '../../model/address.ts';
import type { InetEndpoint } from '../../model/endpoint.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { typed } from '../shared/remedies.ts';
import { asked, capital, inWords, list } from '../shared/words.ts';

const shownAddresses = 6;

/** EADDRNOTAVAIL, and what Linux reports instead of it where a device, a zone or IPv6 is missing. */
export default cause({
  id: 'address-not-here',
  title: 'This address does not belong to this machine',
  on: ['linux', 'darwin'],
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
    const reason = reasonOf(errno, endpoint, facts.settings);
    if (reason === null) return null;
    const family = endpoint.address.includes(':') ? 6 : 4;
    const usable = reason === 'no-ipv6' ? 4 : family;
    const sameFamily = facts.settings.localAddresses.filter(({ address }) => address.includes(':') === (usable === 6));
    return {
      endpoint: asked(question),
      address: endpoint.address,
      reason,
      device: options.device,
      detection: detectionOf(endpoint.address, facts.settings),
      here: [...new Set(sameFamily.map(({ address }) => address))],
      everywhere: family === 6 && facts.settings.ipv6 ? '::' : '0.0.0.0',
    };
  },
  say({ address, endpoint, reason, device, detection }) {
    switch (reason) {
      case 'no-zone':
        return `${address} is a link-local address without a network interface`;
      case 'no-device':
        return `This machine has no network interface ${device ?? address.split('%')[1] ?? ''}`;
      case 'no-ipv6':
        return `${capital(inWords(endpoint))} needs IPv6, which this machine does not have`;
      case 'not-here':
        switch (detection) {
          case 'pending':
            return `${address} is an address of this machine that cannot be used yet: it is tentative until duplicate address detection ends`;
          case 'failed':
            return `${address} is an address of this machine that cannot be used: duplicate address detection failed, because another machine has it (dadfailed)`;
          case null:
            return `${address} is not an address of this machine`;
        }
    }
  },
  remedies({ address, reason, device, here, everywhere, detection }, question): Remedy[] {
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
          remedy: device === null ? 'use-address' : 'set-option',
          sentence: 'Name a network interface of this machine; "ip link" lists them',
          command: null,
          automatic: false,
          args: device === null ? { addresses: here } : { option: 'SO_BINDTODEVICE' },
        },
      ];
    if (reason === 'not-here' && detection === 'pending') return [approve(question), freeBind];
    if (reason === 'not-here' && detection === 'failed') return [giveAnother];
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
      title: 'a server wants a link-local address, and names a network card that this machine does not have',
      needs: ['ipv6'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('fe80::1%rebind-none', stage.freePort()),
          description: 'rebind-none is no network card of this machine',
        });
      },
      expect: { bindable: false, errno: 'EINVAL', remedies: ['use-address'] },
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
  { localAddresses }: Question['facts']['settings'],
): 'not-here' | 'no-zone' | 'no-device' | 'no-ipv6' | null {
  if (errno === 'EADDRNOTAVAIL') return 'not-here';
  if (errno === 'ENODEV') return 'no-device';
  if (errno === 'EAFNOSUPPORT' && endpoint.address.includes(':')) return 'no-ipv6';
  // Link-local unicast and multicast (RFC 4291): the only addresses that need a zone.
  const needing = endpoint.protocol === 'udp' ? /^(fe[89ab][0-9a-f]|ff[0-9a-f][12]):/i : /^fe[89ab][0-9a-f]:/i;
  if (errno !== 'EINVAL' || !needing.test(endpoint.address)) return null;
  const [, zone] = endpoint.address.split('%', 2);
  if (zone === undefined) return 'no-zone';
  return localAddresses.some((local) => local.device === zone) ? null : 'no-device';
}

/** Duplicate address detection of an IPv6 address (RFC 4862, 5.4); null for an address that it does not keep from being used. */
function detectionOf(address: string, { localAddresses }: Question['facts']['settings']): 'pending' | 'failed' | null {
  const [bare] = address.split('%');
  const standings = localAddresses.filter((local) => local.tentative === true && local.address.split('%')[0] === bare);
  if (standings.length === 0) return null;
  return standings.every(({ duplicate }) => duplicate === true) ? 'failed' : 'pending';
}

function useAddress(sentence: string, addresses: readonly string[]): Remedy {
  return { remedy: 'use-address', sentence, command: null, automatic: false, args: { addresses } };
}

function approve({ request }: Question): Remedy {
  return {
    remedy: 'wait',
    sentence: 'Wait a second or two until the address is approved, or add it with nodad',
    command: `rebind wait ${typed(request)}`,
    automatic: false,
    args: {},
  };
}

const giveAnother: Remedy = {
  remedy: 'use-address',
  sentence:
    'Give this machine another address. If no other machine has this one, remove it and add it again with nodad; "ip -6 address" shows dadfailed',
  command: null,
  automatic: false,
  args: { addresses: [] },
};

const freeBind: Remedy = {
  remedy: 'set-option',
  sentence: 'Set IP_FREEBIND before bind if this machine gets the address later',
  command: null,
  automatic: false,
  args: { option: 'IP_FREEBIND' },
};
