import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { blockersOf } from '../shared/kinds.ts';
import { longest, removeLeftovers, wait } from '../shared/remedies.ts';
import { afterKill } from '../shared/scenes.ts';
import { asked, list, localOf, seconds } from '../shared/words.ts';

/** Connections that are over, left by a server, or a client, without SO_REUSEADDR. */
export default cause({
  id: 'time-wait',
  title: 'Closed connections keep the port for up to a minute',
  on: ['linux'],
  page: {
    see: 'The server was stopped, no process has the port, and still the next start fails with `EADDRINUSE` for up to 60 seconds. `ss -tan` shows `TIME-WAIT` on the port; `lsof` and `fuser` show nobody, because nobody has it.',
    why: 'The side of a connection that closes first, which a server that is killed always is, keeps it in TIME_WAIT for 60 seconds, so that late packets are not taken for those of a new connection. TIME_WAIT remembers whether the server that made the connection had set `SO_REUSEADDR`, and blocks only when it had not. A client that closed first leaves the same, on a port of the automatic range, and clients practically never set the option. Setting the option on the new server alone does not help: on Linux both must have it, and the old one is gone. The 60 seconds are fixed: neither `tcp_fin_timeout` nor `tcp_tw_reuse` shortens them for a server.',
    now: '`rebind wait 3000` waits exactly as long as it takes. With root rights `rebind free 3000` makes the kernel forget the closed connections at once; no process is harmed.',
    prevent:
      'Set `SO_REUSEADDR` in the server before `bind`, so that what it leaves behind does not block its successor. Node always does; in Python it is `socket.SO_REUSEADDR` or `allow_reuse_address = True`, in C `setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, …)`. The first restart after the change still waits. `rebind free` sets the option on a running server before it stops it, for the servers you cannot change.',
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
    const because = optionMissingNow
      ? ''
      : `, because the program that had ${connections === 1 ? 'it' : 'them'} did not set SO_REUSEADDR`;
    return `${endpoint} is kept by ${what}${where}${time}${because}`;
  },
  remedies(_args, question) {
    const sockets = blockersOf(question, 'closed');
    return [
      wait(sockets, question),
      ...(question.request.options.reuseAddress ? [] : [setReuseAddress(question)]),
      removeLeftovers(sockets, question),
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
      title: 'a server with SO_REUSEADDR was killed; yours has it, too: nothing blocks',
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
    false: 'it does not help this time, because the earlier server had not set it, but from the next restart on',
    null: 'it lets your server pass what servers leave behind that had set it too',
  }[`${helpsNow}`];
  return {
    remedy: 'set-option',
    sentence: `Set SO_REUSEADDR before bind: ${effect}`,
    command: null,
    automatic: false,
    args: { option: 'SO_REUSEADDR', helpsNow },
  };
}
