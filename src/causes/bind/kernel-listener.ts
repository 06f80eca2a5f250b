import { cause } from '../cause.ts';
import { listenersOf } from '../shared/listeners.ts';
import { asked, capital, localOf, places } from '../shared/words.ts';

/** A socket of the kernel itself. */
export default cause({
  id: 'kernel-listener',
  title: 'The kernel itself uses the port',
  on: ['linux', 'darwin'],
  page: {
    see: 'The port is in use, and even as root no process has it: `lsof` and `ss -p` show a socket without an owner. Typical numbers are 2049 (NFS), 4789 (VXLAN) and 51820 (WireGuard).',
    why: 'Some services run inside the kernel and have sockets of their own: NFS and its lock manager, VXLAN and other tunnels, WireGuard, iSCSI and cluster file systems. They have no process, so there is nothing to stop. A process of another process namespace, such as a container that shares the network but not the processes, can look the same from inside of a container.',
    now: 'Stop the service that uses it: `sudo systemctl stop nfs-server` for NFS, `sudo ip link delete NAME` for a tunnel (`ip -details link` lists them). Or let your server use another port.',
    prevent: 'Leave the well-known port of a kernel service to it, or give the service another one.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'kernel');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      protocol: first.protocol,
      port: first.local.port,
      at: [...new Set(sockets.map(localOf))],
      // In a process namespace of one's own, what shares only the network cannot be seen.
      outsidePossible: question.facts.gaps.some(({ why }) => why === 'ENOENT'),
    };
  },
  say: ({ endpoint, at, outsidePossible }) =>
    outsidePossible
      ? `${capital(places(at, endpoint))} is held by a process outside of this container, or by the kernel: no process here has it open`
      : `${capital(places(at, endpoint))} is held by the kernel itself, for a tunnel or a network file system for instance; no process has it open`,
  remedies: ({ protocol, port, outsidePossible }) => [
    {
      remedy: 'use-port',
      sentence: outsidePossible
        ? `Use another port than ${port}, or run rebind outside of the container: it sees the process there`
        : `Use another port than ${port}, or stop the kernel service that uses it${protocol === 'udp' ? '. This command lists tunnels' : ''}`,
      command: protocol === 'udp' && !outsidePossible ? 'ip -details link show' : null,
      automatic: false,
      args: { port },
    },
  ],
  stages: [
    {
      title: 'a VXLAN tunnel has its UDP port',
      needs: ['namespace', 'vxlan'],
      async stage(stage) {
        const port = stage.freePort();
        const name = `stage${port}`;
        await stage.run(['ip', 'link', 'add', name, 'type', 'vxlan', 'id', '1', 'dstport', `${port}`, 'dev', 'lo']);
        stage.defer(() => stage.run(['ip', 'link', 'delete', name]));
        await stage.run(['ip', 'link', 'set', name, 'up']);
        return stage.staged({
          request: stage.udp('0.0.0.0', port),
          description: `the kernel receives VXLAN packets on UDP port ${port}`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['use-port'] },
    },
  ],
});
