/**
 * Reports written by hand, for the tests of the renderers: no machine is read.
 */
import type { Blocker, BlockerHolder, Report } from '../../src/model/verdict.ts';

/** Noon of a quiet day, in local time, so that the clock in a picture does not depend on the time zone. */
export const noonMs = new Date(2026, 10, 22, 12, 0, 0).getTime();

export const server: BlockerHolder = {
  pid: 4121,
  descriptors: [19],
  command: 'node',
  argv: ['node', 'server.js', '--title', 'my shop'],
  cwd: '/home/ann/shop',
  user: 'ann',
  startedAt: new Date(noonMs - 2 * 3_600_000 - 600_000).toISOString(),
  parents: [
    { pid: 4000, command: 'bash' },
    { pid: 3990, command: 'tmux: server' },
    { pid: 1, command: 'systemd' },
  ],
  unit: null,
  container: null,
  manager: null,
};

export const listener: Blocker = {
  protocol: 'tcp',
  state: 'LISTEN',
  local: { address: '::', port: 3000 },
  remote: null,
  uid: 1000,
  inode: 81_234,
  expiresInMs: null,
  certain: true,
  holders: [server],
};

export const taken: Report = {
  endpoint: { protocol: 'tcp', address: '::', port: 3000 },
  options: { reuseAddress: true, reusePort: false, v6Only: false, device: null },
  bindable: false,
  errno: 'EADDRINUSE',
  verdict: {
    cause: 'other-listener',
    sentence: 'node (pid 4121) already listens on [::]:3000',
    args: { pid: 4121, command: 'node' },
  },
  also: [],
  blockers: [listener],
  plan: [
    {
      remedy: 'stop-process',
      sentence: 'Stop it and verify that the port is available',
      command: 'rebind free 3000',
      automatic: true,
      args: { pid: 4121 },
    },
    {
      remedy: 'use-port',
      sentence: 'Listen on another port',
      command: null,
      automatic: false,
      args: {},
    },
  ],
  gaps: [],
};

export const free: Report = { ...taken, bindable: true, errno: null, verdict: null, blockers: [], plan: [] };

export function timeWait(remotePort: number, expiresInMs: number): Blocker {
  return {
    protocol: 'tcp',
    state: 'TIME_WAIT',
    local: { address: '127.0.0.1', port: 3000 },
    remote: { address: '127.0.0.1', port: remotePort },
    uid: 0,
    inode: 0,
    expiresInMs,
    certain: true,
    holders: [],
  };
}

export const waiting: Report = {
  ...taken,
  verdict: {
    cause: 'time-wait',
    sentence:
      '[::]:3000 is blocked by 5 closed connections of a server that ran without SO_REUSEADDR; the system keeps them for a minute',
    args: {},
  },
  blockers: [41_210, 38_000, 30_000, 20_100, 10_000].map((ms, index) => timeWait(51_000 + index, ms)),
  plan: [
    {
      remedy: 'wait',
      sentence: 'Wait until the last of them has ended',
      command: 'rebind wait 3000',
      automatic: true,
      args: { ms: 41_210 },
    },
  ],
};

/** Everything at once, with text that attacks the terminal. */
export const hostile: Report = {
  ...taken,
  verdict: {
    cause: 'inherited-descriptor',
    sentence: 'evil\u001b[2J\u202eexe (pid 7) still holds [::]:3000',
    args: {},
  },
  also: [{ cause: 'dual-stack', sentence: '::1 is held by somebody else\u0007', args: {} }],
  blockers: [
    {
      ...listener,
      holders: [
        {
          ...server,
          pid: 7,
          descriptors: [3, 4, 5, 6, 7, 8, 9, 10],
          argv: ['sh', '-c', `echo '\u001b]0;owned\u0007\n${'x'.repeat(5000)}'`],
          cwd: `/srv/\u001b[31m${'deep/'.repeat(60)}end`,
          unit: 'shop.service',
          container: { id: 'abcdef0123456789', name: 'web\u009b31m', runtime: 'podman' },
        },
        { ...server, pid: 8, argv: [], command: 'sl\reep', cwd: null, parents: [] },
      ],
    },
    { ...listener, protocol: 'tcp', uid: 1001, inode: 99, certain: false, holders: [] },
  ],
  gaps: [{ what: 'Processes of other users', why: 'EACCES', hint: 'run it as root to see them' }],
};
