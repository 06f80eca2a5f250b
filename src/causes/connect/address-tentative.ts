import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** An IPv6 address of this machine during duplicate address detection, or after it failed (RFC 4862; IFA_F_TENTATIVE, IFA_F_DADFAILED). */
export default addressCause({
  id: 'address-tentative',
  title: 'The IPv6 address of this machine cannot be used yet',
  on: ['linux'],
  at: 'client',
  page: {
    see: '`EADDRNOTAVAIL`, or `EHOSTUNREACH` after three seconds, for an IPv6 address that this machine was just given. One or two seconds later it works.',
    why: 'The kernel first asks the network whether another host has the address (duplicate address detection). Until then the address is tentative: it is listed, but cannot be used. If another host has it, it stays unusable: `dadfailed`.',
    now: 'Wait two seconds and try again. `ip -6 addr show tentative` and `ip -6 addr show dadfailed` list such addresses.',
    prevent:
      'Wait for the address when a container or a network starts, or add it with `nodad` where no other host can have it: `ip -6 addr add ADDRESS dev eth0 nodad`.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const unusable = evidence?.before.unusable ?? null;
    if (evidence === null || unusable === null) return null;
    return { endpoint: placeOf(evidence), address: evidence.endpoint.address, unusable };
  },
  say: ({ address, unusable }) =>
    unusable === 'tentative'
      ? `${address} is an address of this machine that is still tentative: duplicate address detection has not ended`
      : `${address} is an address of this machine that cannot be used: another host has it (dadfailed)`,
  remedies: ({ unusable }, question) =>
    unusable === 'tentative'
      ? [change('wait', 'Wait two seconds and try again', null)]
      : [
          change(
            'change-network',
            'Give this machine an address that no other host has',
            question.advice.network?.duplicates,
          ),
        ],
  stages: [
    {
      title: 'a host asks for an IPv6 address that it was given this moment',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'fd99::1 is being checked for duplicates, without an end',
          (host) =>
            host.shell(
              // Detection as it is by default, with so many probes that it lasts.
              'ip link add wire type veth peer name end',
              'echo 1 >/proc/sys/net/ipv6/conf/wire/accept_dad',
              'echo 600 >/proc/sys/net/ipv6/conf/wire/dad_transmits',
              'ip link set wire up',
              'ip link set end up',
              'ip -6 addr add fd99::1/64 dev wire',
            ),
          { host: 'fd99::1' },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['wait'] },
    },
  ],
});
