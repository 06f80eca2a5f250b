import { canonical } from '../../model/rules/span.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { amongOurselves, conductWords } from '../shared/conduct.ts';
import { listenerArgs } from '../shared/listener-args.ts';
import { listenersOf } from '../shared/listeners.ts';
import { useLoopback, worksWith } from '../shared/remedies.ts';
import { listening } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { andThen, hears, inWords, list, named, processes, reach } from '../shared/words.ts';

/** IPv4 and IPv6 that meet on one port: a `::` socket also has IPv4. */
export default cause({
  id: 'dual-stack',
  title: 'An IPv6 socket also uses the port for IPv4',
  on: ['linux', 'darwin'],
  page: {
    see: 'Your server wants `0.0.0.0` or `127.0.0.1`, and another program listens on `::` only. Or your server wants `::`, the default of Node, and another program listens on one IPv4 address.',
    why: 'A socket on `::` also takes IPv4 connections, unless it is IPv6-only (`IPV6_V6ONLY`, in Node `ipv6Only: true`). So `::` collides with every IPv4 address on the same port, in either order, with or without `SO_REUSEADDR`.',
    now: 'Stop the other program with `rebind free 3000`. If both must run: listen on `::` with `ipv6Only: true` beside the IPv4 server, or choose another port.',
    prevent:
      'Name the address you mean, `127.0.0.1` or `::1`, instead of leaving it out, and use the same one in every program that shares the machine.',
  },
  recognise(question) {
    const { endpoint, options } = question.request;
    if (endpoint.protocol === 'unix') return null;
    const sockets = listenersOf(question, 'dual-stack');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      ...listenerArgs(first, sockets, question),
      wants: reach(endpoint.address, options.v6Only),
      has: reach(canonical(first.local.address), first.v6Only === true),
    };
  },
  say({ endpoint, protocol, wants, at, has, uid, holders, conduct, managed: by }) {
    const listen = `${processes(holders, uid)} ${hears(protocol, named(holders))} on ${list(at)}${conductWords(conduct)}`;
    return has.startsWith('every IPv4 and IPv6')
      ? `${listen}, which covers ${has}, including ${endpoint}${andThen(by)}`
      : `${listen}, and ${inWords(endpoint)} means ${wants}${andThen(by)}`;
  },
  remedies: ({ conduct }, question) => [
    ...useLoopback(question),
    ...v6Only(question),
    ...(amongOurselves(conduct) ?? stopServers(question)),
  ],
  stages: [
    {
      title: 'a Node server without a host has ::, and you want 0.0.0.0',
      needs: ['ipv6'],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort() });
        return stage.staged({
          request: stage.tcp('0.0.0.0', server.port),
          description: `a Node server without a host (pid ${server.pid}) listens on [::]:${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a Node server has ::, and you want 127.0.0.1',
      needs: ['ipv6'],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort() });
        return stage.staged({
          request: stage.tcp('127.0.0.1', server.port),
          description: `a Node server without a host (pid ${server.pid}) listens on [::]:${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a Node server has 127.0.0.1, and you want ::',
      needs: ['ipv6'],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.staged({
          request: stage.tcp('::', server.port),
          description: `a Node server (pid ${server.pid}) listens on 127.0.0.1:${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process', 'set-option'] },
    },
    {
      title: 'one server on 127.0.0.1, another on ::1, and you want ::',
      needs: ['ipv6'],
      async stage(stage) {
        const v4 = await listening(stage, '127.0.0.1', { role: 'ipv4-server', reuseAddress: true });
        const v6 = await listening(stage, '::1', { role: 'ipv6-server', reuseAddress: true, port: v4.port });
        return stage.staged({
          request: stage.tcp('::', v4.port),
          description: `one server listens on 127.0.0.1:${v4.port} (pid ${v4.server.pid}), another on [::1]:${v4.port} (pid ${v6.server.pid})`,
          holders: [v4.server.pid, v6.server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', also: ['wildcard-overlap'], remedies: ['stop-process'] },
    },
  ],
});

function v6Only(question: Question): Remedy[] {
  const options = { ...question.request.options, v6Only: true };
  if (question.request.options.v6Only || !worksWith(question, { options })) return [];
  return [
    {
      remedy: 'set-option',
      sentence:
        question.request.endpoint.protocol === 'udp'
          ? "Receive on IPv6 only, beside it: dgram.createSocket({ type: 'udp6', ipv6Only: true })"
          : 'Listen on IPv6 only, beside it: server.listen({ …, ipv6Only: true })',
      command: null,
      automatic: false,
      args: { option: 'IPV6_V6ONLY' },
    },
  ];
}
