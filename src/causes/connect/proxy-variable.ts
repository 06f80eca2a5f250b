import { targetCause } from './form.ts';
import { change } from './shared/look.ts';

/** Variables that send some clients to a proxy, for a target that is on this machine. */
export default targetCause({
  id: 'proxy-variable',
  title: 'A variable sends clients to a proxy',
  on: ['linux'],
  at: 'client',
  getsThrough: true,
  page: {
    see: '`curl` says "Failed to connect to PROXY port 3128", or waits for it, although the target is `localhost`. Other clients get through.',
    why: '`http_proxy`, `https_proxy` or `ALL_PROXY` is set in the environment, and `no_proxy` does not name the target. curl, npm, pip and many others then connect to the proxy, which cannot reach `localhost` of this machine, or is not there. `fetch` of Node does not obey these variables unless it is told to.',
    now: 'Add the target to `no_proxy`: `export no_proxy=localhost,127.0.0.1,::1`.',
    prevent: 'Set `no_proxy` wherever a proxy is set.',
  },
  recognise({ target, proxies, addresses }) {
    if (target.protocol !== 'tcp') return null;
    const [name, proxy] =
      Object.entries(proxies).find(
        ([each]) => each === (target.speaks === 'tls' ? 'https_proxy' : 'http_proxy') || each === 'all_proxy',
      ) ?? [];
    if (name === undefined || proxy === undefined) return null;
    // A proxy is mostly right for the hosts of others.
    const local = addresses.some(({ address }) => /^127\.|^::1$/.test(address));
    if (!local || isExcepted(target.host, proxies['no_proxy'] ?? '')) return null;
    return { host: target.host, variable: name, proxy: withoutPassword(proxy) };
  },
  say: ({ host, variable, proxy }) => `${variable} sends curl and many other clients of ${host} to the proxy ${proxy}`,
  remedies: ({ host }) => [
    change('change-request', 'Except the host from the proxy', `export no_proxy="$no_proxy,${host}"`, { host }),
  ],
  stages: [
    {
      title: 'http_proxy is set, and localhost is not excepted',
      needs: [],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.reached({
          words: [`http://127.0.0.1:${port}/`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port}, and http_proxy is set`,
          environment: { http_proxy: 'http://ann:secret@192.0.2.1:3128', no_proxy: '' },
        });
      },
      expect: { reachable: true, errno: null, remedies: ['change-request'] },
    },
  ],
});

/** As curl reads it: names and the domains below them, `*` for all (curl(1), NO_PROXY). */
function isExcepted(host: string, list: string): boolean {
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const name = entry.replace(/^\.|:\d+$/g, '').toLowerCase();
      const wanted = host.toLowerCase();
      return entry === '*' || name === wanted || wanted.endsWith(`.${name}`);
    });
}

/** Credentials are nobody's business. */
function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^@/]*@/, '//');
}
