import { isLiteral } from '../../model/reach/target.ts';
import { targetCause } from './form.ts';
import { change } from './shared/look.ts';

/** What was given as a host is a URL, or a host with its port. */
export default targetCause({
  id: 'not-a-name',
  title: 'The host holds more than a name',
  on: ['linux'],
  at: 'name',
  page: {
    see: '`getaddrinfo ENOTFOUND http://app`, `ENOTFOUND app:8540`, `ENOTFOUND [::1]`.',
    why: 'A URL, a host with its port, or an address in brackets was passed where only a name or an address belongs: `net.connect`, `host` in the options of a client, a variable such as `DB_HOST`. The whole text was looked up as a name, and no such name exists.',
    now: 'Pass host and port apart, an IPv6 address without brackets, and a URL only to what takes URLs.',
    prevent: 'Read addresses from the environment with `new URL()`, and pass its `hostname` and `port` on.',
  },
  recognise({ target, name }) {
    if (target.protocol === 'unix' || name === null || name.errno === null || isLiteral(target.host)) return null;
    const { host } = target;
    if (!/[:/[\]@?#\s]/.test(host)) return null;
    return { host, part: partOf(host) };
  },
  say: ({ host }) => `"${host}" is not the name of a host`,
  remedies: ({ part }) => [
    change('change-request', part === null ? 'Pass the host alone' : `Pass the host alone: ${part}`, null, {
      host: part,
    }),
  ],
  stages: [],
});

/** The host that was probably meant. */
function partOf(text: string): string | null {
  const [, host] = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^@/]*@)?(\[[0-9a-f:.]+\]|[\w.-]+)/i.exec(text) ?? [];
  return host === undefined || host === text ? null : host.replace(/^\[|\]$/g, '');
}
