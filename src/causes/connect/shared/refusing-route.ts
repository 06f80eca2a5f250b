/** Routes that refuse: what the causes of the three types share (ip-route(8), net/ipv4/fib_semantics.c: fib_props). */
import type { AddressQuestion } from '../../../model/reach/question.ts';
import type { Remedy } from '../../../model/verdict.ts';
import type { ConnectVariant } from '../form.ts';
import { inetOf, placeOf } from './attempts.ts';
import { across } from './hosts.ts';
import { change, look } from './look.ts';

export type RefusingRoute = {
  readonly endpoint: string;
  readonly address: string;
};

/** @internal The address, where the route to it gives this errno. */
export function refusedByRoute(question: AddressQuestion, errno: string): RefusingRoute | null {
  const evidence = inetOf(question);
  if (evidence?.before.route?.errno !== errno) return null;
  return { endpoint: placeOf(evidence), address: evidence.endpoint.address };
}

/** @internal */
export function removeRoute({ address }: RefusingRoute, type: string, question: AddressQuestion): Remedy[] {
  const rules = type === 'prohibit' ? ', or the routing rule' : '';
  const network = question.advice.network;
  return [
    change(
      'change-network',
      `Find the route of the type ${type}${rules}, and delete it if it is not wanted`,
      network?.routesOf(type),
    ),
    look(`Look at what the kernel answers for ${address}`, network?.route(address)),
  ];
}

/** @internal A route of the type on the client, over IPv4 and IPv6. */
export function refusingRoutes(type: string, errno: string): ConnectVariant[] {
  return [false, true].map((ipv6) => ({
    title: `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type} route covers ${ipv6 ? 'an IPv6' : 'an IPv4'} address`,
    needs: ['network'],
    stage: (stage) =>
      across(
        stage,
        `the client has a route of the type ${type} to the server`,
        ({ client, addresses }) =>
          client.shell(
            ipv6 ? `ip -6 route add ${type} ${addresses.server.ipv6}` : `ip route add ${type} ${addresses.server.ipv4}`,
          ),
        { ipv6 },
      ),
    expect: { reachable: false, errno, remedies: ['change-network', 'investigate'] },
  }));
}
