import type { HolderCondition } from '../../model/reach/evidence.ts';
import { holdersOf } from '../../model/reach/holders.ts';
import type { AddressQuestion } from '../../model/reach/question.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { change, look } from './shared/look.ts';
import { peopleOf, placeOf, processOf, stopServer, untaken } from './shared/untaken.ts';

/** accept() fails with EMFILE: libuv closes the connection, others leave it in the queue. */
export default addressCause({
  id: 'descriptor-limit',
  title: 'The server has no file descriptor left for another connection',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'The connect succeeds; then the connection is closed at once (Node and everything that uses libuv), or nothing is answered. `fetch` of Node 20 stays pending for ever. The server logs nothing: libuv accepts and closes such connections silently.',
    why: 'The process has as many descriptors open as it may (RLIMIT_NOFILE), so `accept` fails with `EMFILE`. Often descriptors leak: connections that are never closed, files, watchers.',
    now: 'Restart the server, and raise its limit: `ulimit -n 65536` in its shell, `LimitNOFILE=65536` in its systemd unit, `--ulimit nofile=65536` for a container.',
    prevent:
      'Watch the number of entries in /proc/PID/fd. Set `server.maxConnections` below the limit, close idle connections, and find the leak.',
  },
  recognise(question) {
    const refused = endedAtOnce(question);
    const found = untaken(question);
    const conditions = found?.conditions ?? refused;
    const atLimit = (conditions ?? []).filter(isAtLimit);
    const [first] = atLimit;
    const evidence = inetOf(question);
    if (first?.descriptors == null || evidence === null) return null;
    const { open, limit } = first.descriptors;
    return {
      endpoint: placeOf(evidence),
      uid: first.holder.uid,
      port: evidence.endpoint.port,
      open,
      limit: limit ?? open,
      closes: found === null,
      unit: first.holder.unit,
      holders: peopleOf(atLimit),
    };
  },
  say: ({ endpoint, uid, open, limit, holders }) =>
    `${processOf(holders, uid)} listens on ${endpoint} and has ${open} of ${limit} file descriptors in use: it cannot accept another connection`,
  remedies({ limit, unit, port, holders }, { advice }) {
    const more = Math.max(65_536, limit * 4);
    const [{ pid } = { pid: 0 }] = holders;
    const where = unit === null ? 'where it is started' : `with LimitNOFILE=${more} in ${unit}`;
    return [
      change(
        'raise-limit',
        `Raise the limit of open files ${where}, and start it again`,
        advice.network?.descriptors(more),
        { limit, more },
      ),
      look('Look at what it has open: many of one kind are a leak', advice.process?.descriptorsOf(pid)),
      ...stopServer(port),
    ];
  },
  stages: [
    {
      title: 'a Node server has as many descriptors open as it may',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.nodeProgram(
          `const fs = require('node:fs');
const net = require('node:net');
const server = net.createServer((socket) => { socket.on('error', () => {}); socket.end('hello\\n'); });
server.listen(${port}, '127.0.0.1', () => {
  const kept = [];
  for (;;) { try { kept.push(fs.openSync('/dev/null')); } catch { break; } }
  globalThis.kept = kept;
  require('node:fs').writeSync(1, 'listening on port ${port}\\n');
});
`,
          { descriptors: 64 },
        );
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port} and has no descriptor left`,
          holders: [pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: {
        reachable: false,
        errno: 'ECONNRESET',
        remedies: ['raise-limit', 'stop-process', 'investigate'],
        asUser: null,
      },
    },
  ],
});

function isAtLimit({ descriptors }: HolderCondition): boolean {
  return descriptors?.limit != null && descriptors.open >= descriptors.limit;
}

/** The processes of the listener that would have got a connection which was closed before a byte. */
function endedAtOnce(question: AddressQuestion): readonly HolderCondition[] | null {
  const evidence = inetOf(question);
  const connected = evidence?.connected ?? null;
  const said = connected?.request ?? connected?.first;
  if (evidence === null || (said?.kind !== 'end' && said?.kind !== 'reset')) return null;
  const inode = evidence.before.lookup?.found?.inode;
  return holdersOf(evidence, inode);
}
