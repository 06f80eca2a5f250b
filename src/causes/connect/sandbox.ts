import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { alone } from './shared/hosts.ts';
import { look } from './shared/look.ts';

/** A policy refuses connect(2), or socket(2), to this process: seccomp, Landlock, a cgroup program, a security module. */
export default addressCause({
  id: 'sandbox',
  title: 'A sandbox does not let this process connect',
  on: ['linux'],
  at: 'client',
  page: {
    see: '`EPERM` or `EACCES` at once, although the route is fine. Other programs of the same machine connect without a problem.',
    why: 'A policy refuses the system call before a packet is made: a seccomp filter of a container or unit, Landlock, a program that is attached to the cgroup (Kubernetes network plugins, `RestrictSocketFamilies=`), SELinux or AppArmor. A firewall never causes this for TCP: what it drops hangs, and what it rejects fails with another error.',
    now: 'Run the client outside of the container or unit to see that it is the policy. Then change the policy: `RestrictAddressFamilies=`, `SystemCallFilter=` and `RestrictNetworkInterfaces=` of the unit, `--security-opt` of the container, the network policy of the cluster.',
    prevent:
      'Let the service log the error with its code: EPERM and EACCES from connect are a policy, not the network.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const { dryRun, route } = evidence.before;
    const { attempt } = evidence;
    // Without SO_BROADCAST, a datagram to many is refused like this, too (socket(7)).
    if (route !== null && (route.errno !== null || route.type === 'broadcast' || route.type === 'multicast'))
      return null;
    const endpoint = placeOf(evidence);
    const { address } = evidence.endpoint;
    if (isRefusal(dryRun?.errno)) return { endpoint, address, errno: dryRun?.errno ?? '', only: null };
    // The firewall of the machine answers a datagram with EPERM, but never the connect of a socket.
    if (attempt === null || !isRefusal(attempt.errno)) return null;
    if (attempt.by === 'socket') return { endpoint, address, errno: attempt.errno ?? '', only: 'socket' as const };
    if (attempt.by !== 'connect') return null;
    // A datagram may be sent to the same place: Landlock knows TCP only.
    return { endpoint, address, errno: attempt.errno ?? '', only: dryRun === null ? null : ('tcp' as const) };
  },
  say({ endpoint, errno, only }) {
    const what = only === 'socket' ? 'open a socket for' : only === 'tcp' ? 'connect over TCP to' : 'connect to';
    const which = only === 'tcp' ? ' (Landlock or another policy of its sandbox)' : '';
    return `A policy does not let this process ${what} ${endpoint}: ${errno} before a packet is sent${which}`;
  },
  remedies: (_args, question) => [
    look('Look for the policy that this process is under', question.advice.network?.ownPolicies),
    ...(question.advice.policies === null
      ? []
      : [look(question.advice.policies.sentence, question.advice.policies.command)]),
  ],
  stages: (
    [
      ['no-connect', 'seccomp', 'EPERM', 'a seccomp filter refuses connect'],
      ['no-tcp-connect', 'landlock', 'EACCES', 'Landlock refuses to connect over TCP'],
    ] as const
  ).map(([policy, need, errno, title]) => ({
    title,
    needs: ['network', need],
    async stage(stage) {
      const staged = await alone(stage, `${title}, and a Node server listens on 127.0.0.1:PORT`, (host, port) =>
        host.nodeServer({ port, host: '127.0.0.1' }),
      );
      // From inside, the processes that have a socket cannot be seen.
      return {
        ...staged,
        holders: [],
        asUser: [...staged.asUser, ...stage.sandboxed(policy).askAs],
        from: [...staged.from, ...stage.sandboxed(policy).askAs],
      };
    },
    expect: { reachable: false, errno, remedies: ['investigate', 'investigate'] },
  })),
});

function isRefusal(errno: string | null | undefined): boolean {
  return errno === 'EPERM' || errno === 'EACCES';
}
