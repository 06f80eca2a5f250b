import type { Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { listenersOf } from '../shared/listeners.ts';
import { useAddress } from '../shared/remedies.ts';
import { asked, localOf, places, processes, who } from '../shared/words.ts';

/** Ports 5000 and 7000 of macOS 12 and later. */
export default cause({
  id: 'airplay-receiver',
  title: 'AirPlay Receiver of macOS listens on ports 5000 and 7000',
  on: ['darwin'],
  page: {
    see: 'A server on port 5000 (Flask, ASP.NET, a Docker registry) or 7000 fails with `EADDRINUSE`, and `lsof` shows `ControlCe`. You stop that process, and it is back at once. Or the server starts on `127.0.0.1`, and other machines get `403 Forbidden` from `AirTunes`.',
    why: 'Since macOS 12 ControlCenter listens on both ports, on IPv4 and IPv6, so that other devices can send their picture and sound to this Mac. launchd starts it again when it exits. Node without a host asks for `::`, which is taken; `127.0.0.1` is still available.',
    now: 'Turn it off: System Settings > General > AirDrop & Handoff > AirPlay Receiver (macOS 12: System Preferences > Sharing). Or use another port, such as 5001.',
    prevent: 'Do not use 5000 and 7000 as the ports of development servers on a Mac.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'airplay');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      port: first.local.port,
      at: [...new Set(sockets.map(localOf))],
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say: ({ endpoint, at, holders }) =>
    `AirPlay Receiver, ${processes(holders, 0)}, listens on ${places(at, endpoint)}; macOS starts it again when it exits`,
  remedies({ port }, question): Remedy[] {
    return [
      ...useAddress(
        question,
        '127.0.0.1',
        'Listen on 127.0.0.1 only, which is available; other machines would still reach AirPlay Receiver',
      ),
      {
        remedy: 'use-port',
        sentence: `Use another port, such as ${port + 1}`,
        command: null,
        automatic: false,
        args: { port: port + 1 },
      },
      {
        remedy: 'stop-unit',
        sentence: 'Turn off AirPlay Receiver in System Settings > General > AirDrop & Handoff',
        command: 'open "x-apple.systempreferences:com.apple.AirDrop-Handoff-Settings.extension"',
        automatic: false,
        args: { manager: 'airplay', name: 'AirPlay Receiver' },
      },
    ];
  },
  stages: [],
});
