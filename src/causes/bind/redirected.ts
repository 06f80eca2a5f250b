import type { Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { asked, capital, inWords } from '../shared/words.ts';

/** The bind works, and a rule of the firewall sends what comes for the port elsewhere. */
export default cause({
  id: 'redirected',
  title: 'The port is available, but a firewall rule sends its connections elsewhere',
  on: ['linux'],
  page: {
    see: 'Your server starts without an error, and clients reach another program, often one in a container. Or only clients on other machines do, while `curl localhost` reaches your server.',
    why: 'A container engine publishes a port by a rule that changes the destination of packets (DNAT) before the kernel looks for a listener. docker and podman mostly keep the port open themselves, so that no other program can listen on it. Kubernetes (`hostPort`, `NodePort`), nerdctl and other users of CNI write only the rule, as does a rule written by hand. Then `listen` succeeds, and the server gets nothing.',
    now: 'Stop the container that publishes the port, or listen on another port. `sudo nft list ruleset` or `sudo iptables-save -t nat` shows the rule. Only root can see these rules: without that right rebind does not know of them.',
    prevent: 'Publish ports of containers in a range that servers of the machine do not use.',
  },
  recognise(question) {
    const { endpoint } = question.request;
    const [first] = question.redirects;
    if (question.errno !== null || endpoint.protocol === 'unix' || first === undefined) return null;
    return { ...first, endpoint: asked(question), packets: endpoint.protocol === 'udp' };
  },
  say({ endpoint, packets, from, to, chain, table, process }) {
    const what = packets ? 'packets' : 'connections';
    const whose = from === 'outside' ? 'of other machines' : 'of this machine';
    const where = to === null ? 'elsewhere' : `to ${to}`;
    const who = process === null ? '' : `, where ${process.command} (pid ${process.pid}) listens`;
    return `${capital(inWords(endpoint))} gets no ${what} ${whose}: a rule in chain ${chain} of table ${table} sends them ${where}${who}`;
  },
  remedies({ system, process }, question): Remedy[] {
    const container = process?.container ?? null;
    const name = container === null ? null : (container.name ?? container.id.slice(0, 12));
    return [
      {
        remedy: 'use-port',
        sentence: 'Listen on another port, which no rule redirects',
        command: null,
        automatic: false,
        args: {},
      },
      {
        remedy: 'change-firewall',
        sentence: `Remove the rule, or ${name === null ? 'stop what it leads to' : `stop the container ${name}, which it leads to`}`,
        command: question.advice.network?.rules(system === 'iptables-legacy') ?? null,
        automatic: false,
        args: {},
      },
    ];
  },
  stages: (
    [
      ['output', '127.0.0.1', 'of this machine'],
      ['prerouting', '0.0.0.0', 'of other machines'],
    ] as const
  ).map(([hook, address, whose]) => ({
    title: `a rule sends the connections ${whose} to another port`,
    needs: ['namespace', 'network'],
    async stage(stage) {
      const [port, other] = [stage.freePort(), stage.freePort()];
      const table = `rebind_${port}`;
      if (hook === 'prerouting') {
        await stage.shell(
          `ip link add rb${port} type veth peer name rp${port}`,
          `ip addr add 198.18.${port & 255}.1/24 dev rb${port}`,
          `ip link set rb${port} up`,
        );
        stage.defer(() => stage.shell(`ip link del rb${port}`));
      }
      await stage.shell(
        `nft 'table ip ${table} { chain forward_${hook} { type nat hook ${hook} priority -100; tcp dport ${port} counter dnat to 127.0.0.1:${other}; }; }'`,
      );
      stage.defer(() => stage.shell(`nft delete table ip ${table}`));
      return stage.staged({
        request: stage.tcp(address, port),
        description: `nobody has port ${port}, and a rule of nftables sends the connections ${whose} to 127.0.0.1:${other}`,
      });
    },
    expect: { bindable: true, errno: null, remedies: ['change-firewall', 'use-port'] },
  })),
});
