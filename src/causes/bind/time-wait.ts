import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { blockersOf } from '../shared/kinds.ts';
import { longest, removeLeftovers, wait } from '../shared/remedies.ts';
import { afterKill } from '../shared/scenes.ts';
import { asked, capital, inWords, list, localOf, seconds } from '../shared/words.ts';

/** Connections that are over, left by a server, or a client, without SO_REUSEADDR. */
export default cause({
  id: 'time-wait',
  title: 'Closed connections hold the port for up to a minute',
  on: ['linux', 'darwin'],
  page: {
    see: 'You stopped the server, no process uses the port, and the next start still fails with `EADDRINUSE` for up to 60 seconds. `ss -tan` shows `TIME-WAIT` on the port; `lsof` and `fuser` show nothing, because no process has it open.',
    why: 'The side that closes first keeps the connection in TIME_WAIT for 60 seconds, so that late packets do not reach a new connection. A killed server always closes first. TIME_WAIT remembers whether the server had set `SO_REUSEADDR`, and blocks only if it had not. A client that closed first leaves the same on a port of the automatic range, and clients almost never set the option. Setting the option on the new server alone does not help: on Linux both must set it, and the old server has exited. The 60 seconds are fixed: neither `tcp_fin_timeout` nor `tcp_tw_reuse` shortens them for a server. On macOS it is 30 seconds, and only the option of the new server counts: a server that sets it starts at once.',
    now: '`rebind wait 3000` waits exactly as long as it takes. As root, `rebind free 3000` removes the closed connections at once; no process is affected.',
    prevent:
      'Set `SO_REUSEADDR` in the server before `bind`, so that its leftover connections do not block the next server. Node always does. In Python it is `socket.SO_REUSEADDR` or `allow_reuse_address = True`, in C `setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, …)`. The first restart after the change still waits. `rebind free` sets the option on a running server before it stops it, for the servers you cannot change.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'closed');
    const waitMs = longest(sockets);
    if (sockets.length === 0) return null;
    return {
      endpoint: asked(question),
      at: [...new Set(sockets.map(localOf))],
      connections: sockets.length,
      waitMs,
      until: waitMs === null ? null : new Date(question.facts.readAtMs + waitMs).toISOString(),
      optionMissingNow: !question.request.options.reuseAddress,
    };
  },
  say({ endpoint, at, connections, waitMs, optionMissingNow }) {
    const what = connections === 1 ? 'a closed connection' : `${connections} closed connections`;
    const where = at.length === 1 && at[0] === endpoint ? '' : ` on ${list(at.slice(0, 3))}`;
    const time = waitMs === null ? '' : ` for another ${seconds(waitMs)}`;
    // Whose it was, a server's or a client's, nobody knows any more.
    const because = optionMissingNow ? '' : `, because that program did not set SO_REUSEADDR`;
    return `${capital(inWords(endpoint))} is held by ${what}${where}${time}${because}`;
  },
  remedies(_args, question) {
    const sockets = blockersOf(question, 'closed');
    return [
      wait(sockets, question),
      ...(question.request.options.reuseAddress ? [] : [setReuseAddress(question)]),
      ...removeLeftovers(sockets, question),
    ];
  },
  stages: [
    {
      title: 'a server without SO_REUSEADDR was killed while a client was connected; yours has it',
      needs: [],
      async stage(stage) {
        const { port } = await afterKill(stage, '127.0.0.1', { role: 'server-without-reuseaddr' });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server that listened on 127.0.0.1:${port} without SO_REUSEADDR was killed while a client was connected`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'remove-leftovers'] },
    },
    {
      title: 'a server with SO_REUSEADDR was killed; yours also has it: nothing blocks',
      needs: [],
      async stage(stage) {
        const { port } = await afterKill(stage, '127.0.0.1', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server that listened on 127.0.0.1:${port} with SO_REUSEADDR was killed while a client was connected`,
        });
      },
      expect: { bindable: true, errno: null, cause: null, remedies: [] },
    },
    {
      title: 'a server with SO_REUSEADDR was killed; yours does not set it',
      needs: [],
      async stage(stage) {
        const { port } = await afterKill(stage, '127.0.0.1', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port, { reuseAddress: false }),
          description: `a server that listened on 127.0.0.1:${port} with SO_REUSEADDR was killed while a client was connected`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'set-option', 'remove-leftovers'] },
    },
    {
      title: 'neither server sets SO_REUSEADDR: setting it helps only from the next restart on',
      needs: [],
      async stage(stage) {
        const { port } = await afterKill(stage, '127.0.0.1', { role: 'server-without-reuseaddr' });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port, { reuseAddress: false }),
          description: `a server that listened on 127.0.0.1:${port} without SO_REUSEADDR was killed while a client was connected`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'set-option', 'remove-leftovers'] },
    },
    {
      title: 'a server on :: without SO_REUSEADDR served ::1 and was killed, and you want 0.0.0.0',
      needs: ['ipv6'],
      async stage(stage) {
        const { port } = await afterKill(stage, '::', { role: 'server-without-reuseaddr' }, '::1');
        return stage.staged({
          request: stage.tcp('0.0.0.0', port),
          description: `a server that listened on [::]:${port} without SO_REUSEADDR was killed while a client was connected to [::1]:${port}`,
        });
      },
      expect: {
        bindable: false,
        errno: 'EADDRINUSE',
        also: ['ipv6-connection'],
        remedies: ['wait', 'use-address', 'remove-leftovers'],
      },
    },
  ],
});

/** Both servers must have set it; only the kernel knows whether the old one had. */
function setReuseAddress({ reusing }: Question): Remedy {
  const helpsNow = reusing === null ? null : reusing.errno === null;
  const effect = {
    true: 'your server can then start at once',
    false: 'this helps from the next restart on, not now: the earlier server did not set it',
    null: 'your server can then start beside leftover connections of servers that set it',
  }[`${helpsNow}`];
  return {
    remedy: 'set-option',
    sentence: `Set SO_REUSEADDR before bind: ${effect}`,
    command: null,
    automatic: false,
    args: { option: 'SO_REUSEADDR', helpsNow },
  };
}
