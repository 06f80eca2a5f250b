import { cause } from '../cause.ts';
import { blockersOf, holdersOf } from '../shared/kinds.ts';
import { stopHolders } from '../shared/stopping.ts';
import { asked, capital, inWords, list, localOf, processes, who } from '../shared/words.ts';

/** A port that is in use without a socket: netstat shows it, lsof does not. */
export default cause({
  id: 'user-space',
  title: 'A connection of Network.framework, such as that of a network extension, uses the port',
  on: ['darwin'],
  page: {
    see: '`EADDRINUSE`, and `lsof -i` shows nothing on the port. `netstat -anv` does. Typical programs are VPN clients, content filters and other network extensions, and applications that use Network.framework.',
    why: 'macOS can run TCP and UDP inside a process, without a socket of the kernel (Skywalk). Such a connection has no descriptor, so `lsof` does not list it, but the kernel reserves its port against sockets. rebind reads the same table as `netstat`, which names the process.',
    now: 'Quit the program that `rebind why` names, or turn off its network extension in System Settings > General > Login Items & Extensions. Or use another port.',
    prevent: 'Choose a port below 49152: these connections mostly have automatic ports from there on.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'user-space');
    if (sockets.length === 0) return null;
    return {
      endpoint: asked(question),
      at: [...new Set(sockets.map(localOf))],
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say: ({ endpoint, at, holders }) =>
    `${capital(inWords(endpoint))} seems to be used without a socket: ${holders.length === 0 ? 'a process' : processes(holders, 0)} has ${list(at.slice(0, 3))} through Network.framework, which lsof does not list`,
  remedies: (_args, question) => stopHolders(blockersOf(question, 'user-space'), question),
  stages: [],
});
