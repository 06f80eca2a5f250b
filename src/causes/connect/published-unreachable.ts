import { formatAddress } from '../../model/address.ts';
import { forwardedTo } from '../../model/reach/forwarded.ts';
import { addressCause } from './form.ts';
import {
  inetOf,
  isLate,
  isOwn,
  isSilent,
  lastErrno,
  placeOf,
  refusalOf,
  undelivered,
  unsent,
} from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { look } from './shared/look.ts';
import { innerLoopback, isRefusedBehind } from './shared/published.ts';
import { isHostUnreachable, refusedElsewhere } from './shared/refused-elsewhere.ts';

/** The port of this machine, or of the target, is forwarded to a host or container that does not take the connection. */
export default addressCause({
  id: 'published-unreachable',
  title: 'The port is forwarded, and what it is forwarded to does not answer',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`ECONNREFUSED`, `EHOSTUNREACH` after three seconds, or a hang, from a port on which no program of this machine listens.',
    why: 'A rule of the firewall (DNAT) forwards the port to another host or to a container. The target refuses, because its server does not run or listens on 127.0.0.1. Or the target is gone, and the rule is left. Or the answer cannot come back: connections from 127.0.0.1 also need `route_localnet` and `masquerade`.',
    now: 'Run `rebind reach` as root: it shows where the rule leads. Start the container, or remove the rule: `nft list ruleset` shows it. `docker ps` shows what is published.',
    prevent:
      'Publish ports with one engine only, and stop it before you flush its rules, so that it can remove them itself.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || evidence.protocol !== 'tcp' || innerLoopback(evidence).length > 0) return null;
    const { attempt, before } = evidence;
    const to = forwardedTo(evidence.firewall, evidence.endpoint);
    const args = { endpoint: placeOf(evidence), to: to === null ? null : formatAddress(to.address, to.port) };
    const refused = refusedElsewhere(question);
    // A host that answers late for its own address has looked for another one.
    if (refused !== null && refused.from === refused.address && refused.late && isHostUnreachable(refused.refusal))
      return { ...args, how: 'gone' as const };
    if (isRefusedBehind(evidence)) return { ...args, how: 'refused' as const };
    if (evidence.ours !== true || before.lookup === null || before.lookup.found !== null || attempt === null)
      return null;
    const refusal = refusalOf(evidence);
    if (lastErrno(evidence) === 'EHOSTUNREACH' && isOwn(evidence, refusal?.from ?? null) && isLate(evidence))
      return { ...args, how: 'gone' as const };
    const kept = unsent(evidence) <= 0 && undelivered(evidence) <= 0;
    // Without a listener this machine would have refused by itself.
    return isSilent(evidence) && (kept || to !== null) ? { ...args, how: 'silent' as const } : null;
  },
  say({ endpoint, to, how }) {
    const where = to ?? 'another host or a container';
    const does = { gone: 'is not there', refused: 'refuses', silent: 'does not answer' }[how];
    return `${endpoint} is forwarded to ${where}, which ${does}`;
  },
  remedies: (_args, question) => [
    look('Start what the port is forwarded to, or remove the rule', question.advice.network?.rules(false)),
  ],
  stages: [
    {
      title: 'a port is forwarded to a container that refuses',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a rule forwards port PORT of the machine to a container without a server',
          ({ router, addresses }, port) =>
            router.nft(
              `table ip stage { chain output { type nat hook output priority -100; ip daddr ${addresses.routerToClient.ipv4} tcp dport ${port} dnat to ${addresses.server.ipv4}; }; }`,
            ),
          { asks: 'router', host: '10.50.1.1' },
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED', says: /is forwarded to 10\.50\.2\.2:\d+, which refuses$/ },
    },
    {
      title: 'a port is forwarded to a container that is gone, and its own host asks',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a rule forwards port PORT of the machine to 10.50.2.77, which nobody has',
          ({ router, addresses }, port) =>
            router.nft(
              `table ip stage { chain output { type nat hook output priority -100; ip daddr ${addresses.routerToClient.ipv4} tcp dport ${port} dnat to 10.50.2.77; }; }`,
            ),
          { asks: 'router', host: '10.50.1.1' },
        ),
      // The kernel knows only after three seconds, longer than a look at this machine takes.
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
    {
      title: 'a port is forwarded to a container that is gone, and a client asks',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a rule of the router forwards its port PORT to 10.50.2.77, which nobody has',
          ({ router, addresses }, port) =>
            router.nft(
              `table ip stage { chain prerouting { type nat hook prerouting priority -100; ip daddr ${addresses.routerToClient.ipv4} tcp dport ${port} dnat to 10.50.2.77; }; }`,
            ),
          { host: '10.50.1.1' },
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH' },
    },
    {
      title: 'a port of 127.0.0.1 is forwarded to a container, and the answers cannot come back',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a rule forwards port PORT of 127.0.0.1 to a container, without a masquerade',
          async ({ router, server, addresses }, port) => {
            await router.nft(
              `table ip stage { chain output { type nat hook output priority -100; ip daddr 127.0.0.1 tcp dport ${port} dnat to ${addresses.server.ipv4}; }; }`,
            );
            await router.setting('ipv4.conf.all.route_localnet', '1');
            const socket = await (await server.actor('server')).open();
            await socket.bind('0.0.0.0', port);
            await socket.listen();
          },
          { asks: 'router', host: '127.0.0.1' },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
  ],
});
