/**
 * Every place where another user, another process or a failing system meets rebind. docs/security.md has a section for each, and
 * test/security.test.ts fails when one is missing.
 */
export interface Surface {
  /** The heading of its section. */
  readonly name: string;
  /** The files that stand there: each one that opens a door, or hears what others say, belongs to a surface. */
  readonly files: readonly string[];
}

export const surfaces: readonly Surface[] = [
  {
    name: 'Control socket of hold',
    files: ['src/hold/control.ts', 'src/os/linux/channels/stream.ts', 'src/hold/wire/messages.ts'],
  },
  { name: 'Directory of the channels', files: ['src/os/linux/channels/directory.ts'] },
  { name: 'Notify socket', files: ['src/hold/notify.ts', 'src/os/linux/channels/inbox.ts'] },
  { name: 'Questions to a hold', files: ['src/hold/client.ts'] },
  { name: 'Held sockets and learned ports', files: ['src/hold/held-sockets.ts', 'src/adopt/ask-for-socket.ts'] },
  { name: 'Take-over door', files: ['src/server/offer.ts', 'src/server/take-over.ts'] },
  { name: 'Hand-off of connections', files: ['src/adopt/hand-off.ts'] },
  { name: 'Locks', files: ['src/os/linux/channels/lock.ts', 'src/act/lock.ts'] },
  { name: 'LISTEN_FDS', files: ['src/hold/wire/listen-fds.ts'] },
  { name: 'Claims of a held socket', files: ['src/adopt/claims.ts'] },
  {
    name: 'Preloads and their environment',
    files: ['src/hold/wire/passed.ts', 'src/preload/adopt.ts', 'src/preload/explain.ts'],
  },
  {
    name: 'Managers and the programs that are run',
    files: ['src/ask/command.ts', 'src/model/managers.ts', 'src/ask/managers/talk.ts'],
  },
  { name: 'Signals and the guard', files: ['src/hold/guard.ts', 'src/act/stop.ts', 'src/model/may-end.ts'] },
  { name: 'Leftover socket files', files: ['src/act/leftovers.ts'] },
  { name: 'Unit files and pasted lines', files: ['src/cli/systemd-units.ts'] },
  { name: 'Text of /proc', files: ['src/os/linux/read.ts', 'src/os/linux/proc'] },
  { name: 'Netlink', files: ['src/os/linux/netlink'] },
  { name: 'Terminal and logs', files: ['src/cli/text.ts', 'src/cli/log.ts', 'src/hold/last-lines.ts'] },
  { name: 'Cache of compiled code', files: ['src/cli/rebind.ts'] },
  { name: 'Library', files: ['src/server/listen.ts', 'src/server/reserve.ts', 'src/index.ts'] },
  {
    name: 'Health and metrics',
    files: ['src/server/health-server.ts', 'src/server/health.ts', 'src/hold/health.ts', 'src/hold/metrics.ts'],
  },
  { name: 'Files that check reads', files: ['src/manifests/check-files.ts', 'src/manifests/yaml-tree.ts'] },
  { name: 'Failing systems', files: ['src/hold/faults.ts'] },
];
