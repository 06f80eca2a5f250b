import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { atPath, listener, pathOf, socketsOfFile, unixRefused } from './shared/unix.ts';

/** The socket is one of datagrams or of packets in sequence: EPROTOTYPE (unix(7)). */
export default addressCause({
  id: 'unix-wrong-type',
  title: 'The Unix socket is of another type',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`EPROTOTYPE`, "Protocol wrong type for socket".',
    why: 'The server opened a socket of datagrams (as syslog and `sd_notify` do) or of packets in sequence, and the client a stream. They cannot be joined. Node only has streams.',
    now: 'Use the client that belongs to the server, such as `logger -u PATH` for a socket of syslog. `ss -xlp` shows the type: u_str, u_dgr, u_seq.',
    prevent: 'Check that the path is that of the server that you mean.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'EPROTOTYPE');
    if (evidence === null) return null;
    return { endpoint: pathOf(evidence), type: socketsOfFile(evidence)[0]?.type ?? null };
  },
  say: ({ endpoint, type }) =>
    `${endpoint} is a socket of another type${type === null ? '' : ` (${type})`}, and a client of streams cannot connect to it`,
  remedies: () => [
    change('change-request', 'Use a client of that type, or the path of the server that you mean', null),
  ],
  stages: (['datagram', 'seqpacket'] as const).map((type) => ({
    title: `the socket is one of ${type}`,
    needs: [],
    stage: (stage) =>
      atPath(stage, `a program has a socket of the type ${type} at PATH`, async (path) => {
        await listener(stage, path, { type, backlog: type === 'datagram' ? null : 16 });
        return undefined;
      }),
    expect: { reachable: false, errno: 'EPROTOTYPE', remedies: ['change-request'] },
  })),
});
