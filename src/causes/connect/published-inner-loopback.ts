import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change, look } from './shared/look.ts';
import { innerLoopback } from './shared/published.ts';

/** The port of a container is published, and its server listens on the loopback address inside: what is forwarded meets nobody. */
export default addressCause({
  id: 'published-inner-loopback',
  title: 'The port is published, but the server in the container listens on 127.0.0.1',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`ECONNREFUSED`, `ECONNRESET` or an empty reply from a published port, although `docker ps` shows the port and the server inside says that it listens.',
    why: 'Connections to the published port arrive in the container at its own network address. A server that listens on 127.0.0.1, or `localhost`, inside of the container takes only connections from inside. Where a proxy of the engine accepts first, the connection stands for a moment and is then closed; where the firewall forwards, it is refused.',
    now: 'Let the server in the container listen on `0.0.0.0` or `::`: `--host 0.0.0.0` for Vite, `-H 0.0.0.0` for Next.js, `--bind 0.0.0.0` for gunicorn.',
    prevent: 'Read the address to listen on from the environment, and set it in the image.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const inside = evidence === null ? [] : innerLoopback(evidence);
    const [first] = inside;
    if (evidence === null || first === undefined) return null;
    const { pid, command, container, unit } = first.process;
    return {
      endpoint: placeOf(evidence),
      port: evidence.endpoint.port,
      inside: inside.map(({ local }) => local.address),
      innerPort: first.local.port,
      pid,
      command,
      container: container?.name ?? null,
      unit: unit ?? null,
    };
  },
  say: ({ endpoint, inside, innerPort, pid, command, container }) =>
    `${endpoint} is forwarded to ${container === null ? 'a container' : `the container ${container}`}, whose server listens on ${inside[0] ?? ''}:${innerPort} only (seen by ${command}, pid ${pid})`,
  remedies: ({ container }) => [
    change('listen-address', `Let the server in ${container ?? 'the container'} listen on 0.0.0.0 or ::`, null, {
      address: '0.0.0.0',
    }),
    look('Until then, run the client inside of the container', null),
  ],
  stages: [
    {
      title: 'a port is forwarded to a container whose server listens on 127.0.0.1',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a rule forwards port PORT of the machine to a container, whose server listens on 127.0.0.1:PORT',
          async ({ router, server, addresses }, port) => {
            await router.nft(
              `table ip stage { chain output { type nat hook output priority -100; ip daddr ${addresses.routerToClient.ipv4} tcp dport ${port} dnat to ${addresses.server.ipv4}; }; }`,
            );
            const socket = await (await server.actor('server')).open();
            await socket.bind('127.0.0.1', port);
            await socket.listen();
          },
          { asks: 'router', host: '10.50.1.1' },
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['listen-address', 'investigate'] },
    },
  ],
});
