import { formatAddress } from '../../model/address.ts';
import { programName } from '../../model/program.ts';
import { holdersOf } from '../../model/reach/holders.ts';
import { list } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { change } from './shared/look.ts';
import { isLoopback } from './shared/take.ts';

/** localhost is two addresses, and two programs have one each. */
export default addressCause({
  id: 'wrong-program',
  title: 'Two programs have the port, one on each address of localhost',
  on: ['linux'],
  at: 'answer',
  getsThrough: true,
  page: {
    see: 'The answer comes from another program than expected: a wrong page, a 404, an old version. Another client on the same machine gets the right one.',
    why: '`localhost` has two addresses, `127.0.0.1` and `::1`, and a different program listens on each of them. Which one a client reaches depends on the client: many try `::1` first.',
    now: 'Stop the program that should not be there, or write the address instead of `localhost`.',
    prevent:
      'Listen on `::`, as Node does without a host: it takes both addresses, and fails if another program has one of them. Give each project a port of its own.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || question.target.protocol !== 'tcp' || !/(^|\.)localhost\.?$/i.test(question.target.host))
      return null;
    if (evidence.connected === null && evidence.attempt?.errno !== null) return null;
    const listeners = (evidence.before.sockets ?? []).filter(
      ({ state, local }) =>
        state === 'LISTEN' && (isLoopback(local.address) || /^(::|0\.0\.0\.0)$/.test(local.address)),
    );
    const named = listeners.map((socket) => {
      const holders = holdersOf(evidence, socket.inode);
      return {
        at: formatAddress(socket.local.address, socket.local.port),
        pids: holders.map(({ holder }) => holder.pid),
        // A worker and its master are one program.
        family: new Set(
          holders.flatMap(({ holder }) => [
            holder.pid,
            ...holder.parents.filter(({ pid }) => pid > 1).map(({ pid }) => pid),
          ]),
        ),
        program: holders[0] === undefined ? null : `${programName(holders[0].holder)} (pid ${holders[0].holder.pid})`,
      };
    });
    const found = evidence.before.lookup?.found;
    const mine = named.find((_each, index) => listeners[index]?.inode === found?.inode);
    if (mine === undefined || mine.program === null) return null;
    const others = named.filter(
      (each) =>
        each !== mine &&
        each.program !== null &&
        each.at !== mine.at &&
        !mine.pids.some((pid) => each.pids.includes(pid)),
    );
    if (others.length === 0) return null;
    return {
      endpoint: formatAddress(evidence.endpoint.address, evidence.endpoint.port),
      program: mine.program,
      others: others.map(({ at, program }) => ({ at, program })),
      addresses: [mine.at, ...others.map(({ at }) => at)],
    };
  },
  say: ({ endpoint, program, others }) =>
    `${program} answers on ${endpoint}, and ${list(others.map(({ at, program: other }) => `${other} on ${at}`))}: clients of localhost may reach either`,
  remedies: ({ addresses }) => [
    change('use-address', `Write the address instead of localhost: ${addresses.join(' or ')}`, null, { addresses }),
  ],
  stages: [
    {
      title: 'one server listens on ::1, another on 127.0.0.1, and localhost is asked',
      needs: ['ipv6'],
      async stage(stage) {
        const port = stage.freePort();
        const one = await stage.actor('one');
        const other = await stage.actor('other');
        for (const [actor, address, family] of [
          [one, '::1', 6],
          [other, '127.0.0.1', 4],
        ] as const) {
          const listener = await actor.open({ family });
          await listener.bind(address, port);
          await listener.listen();
          await listener.serve();
        }
        return stage.reached({
          words: [`localhost:${port}`],
          description: `one server (pid ${one.pid}) listens on [::1]:${port}, another (pid ${other.pid}) on 127.0.0.1:${port}`,
          holders: [one.pid, other.pid],
        });
      },
      expect: { reachable: true, errno: null, remedies: ['use-address'] },
    },
  ],
});
