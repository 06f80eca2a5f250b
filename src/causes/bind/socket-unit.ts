import { isActivator } from '../../model/suspect.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { listenersOf } from '../shared/listeners.ts';
import { stopHolders } from '../shared/stopping.ts';
import { agree, asked, localOf, places, processes, who } from '../shared/words.ts';

/** systemd, xinetd and their like listen on behalf of programs that they start. */
export default cause({
  id: 'socket-unit',
  title: 'A service manager listens and starts the real server when a client connects',
  on: ['linux', 'darwin'],
  page: {
    see: 'The port is held by `systemd` (pid 1), `systemd-socket-activate` or `xinetd`. You stop the service, and the port is still taken; or the service is not even running, and starts as soon as a client connects.',
    why: 'With socket activation the service manager opens the port and keeps it, whether or not the service runs, and passes it on when it starts the service. So stopping the service does not release the port, and pid 1 cannot be stopped. Another unit has the port, one whose name ends in `.socket`.',
    now: '`systemctl list-sockets` shows which socket unit has the port; `sudo systemctl stop NAME.socket` releases it. Also stop the service if it runs: it has the same socket open.',
    prevent:
      '`sudo systemctl disable NAME.socket` prevents it from starting again at the next boot. If your program is that service, let it take the socket that systemd passes (`LISTEN_FDS`) instead of opening its own.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'unit');
    const [first] = sockets;
    if (first === undefined) return null;
    const holders = holdersOf(sockets, question);
    return {
      endpoint: asked(question),
      port: first.local.port,
      at: [...new Set(sockets.map(localOf))],
      managers: holders.filter(isActivator).map(who),
      services: holders.filter((holder) => !isActivator(holder)).map(who),
    };
  },
  say({ endpoint, at, managers, services }) {
    const keeps = `${processes(managers, 0)} ${agree(managers.length, 'listens', 'listen')} on ${places(at, endpoint)} for a service that it starts when a client connects`;
    return services.length === 0
      ? keeps
      : `${keeps}; ${processes(services, 0)} ${agree(services.length, 'has', 'have')} the same socket open`;
  },
  remedies: (_args, question) => stopHolders(listenersOf(question, 'unit'), question),
  stages: [
    {
      title: 'systemd-socket-activate listens for a program that does not run yet',
      needs: ['systemd-socket-activate'],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.program(
          ['systemd-socket-activate', `--listen=127.0.0.1:${port}`, '/bin/cat'],
          /Listening on 127\.0\.0\.1:\d+/,
        );
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `systemd-socket-activate (pid ${pid}) listens on 127.0.0.1:${port} and would start a program for the first connection`,
          holders: [pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
  ],
});
