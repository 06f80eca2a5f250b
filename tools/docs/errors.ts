/**
 * docs/errors.md: the errors of the library, and the causes behind each errno.
 */
import { errnosOf, registry } from './causes.ts';

const introduction = `# Errors

Compare \`code\`, never the text. The guards (\`isBlockedPortError\`, \`isNativeError\`, \`isUnsupportedError\`) work across copies of the package, which \`instanceof\` does not.

| class | when | \`code\` | more |
|---|---|---|---|
| \`BlockedPortError\` | \`listen\` could not bind or listen | what Node reports: \`EADDRINUSE\`, \`EACCES\`, \`EADDRNOTAVAIL\`, … | Node's \`errno\`, \`syscall\`, \`address\`, \`port\`; and \`verdict\`, \`plan\`, \`blockers\`, \`report\` |
| \`NativeError\` | a system call failed that should have worked | the name of the errno | \`errno\`, \`syscall\` |
| \`UnsupportedError\` | this platform or machine cannot do it | \`ERR_REBIND_UNSUPPORTED\` | \`cause\`, where another error is behind it |
| \`RangeError\`, \`TypeError\` | an argument is wrong; nothing was done | | |

An expected outcome is a value, not an exception: \`why\` returns a report for a blocked port. What could not be seen is in \`gaps\`.
`;

export function errorsPage(): string {
  const byErrno = new Map<string, string[]>();
  for (const cause of registry) {
    for (const errno of errnosOf(cause)) {
      const line = `- [\`${cause.id}\`](causes/${cause.id}.md): ${cause.title}`;
      byErrno.set(errno, [...(byErrno.get(errno) ?? []), line]);
    }
  }
  const errnos = [...byErrno.keys()].filter((errno) => /^E[A-Z]+$/.test(errno)).sort();
  return [
    introduction,
    '## What is behind each code',
    ...errnos.map((errno) => `### ${errno}\n\n${(byErrno.get(errno) ?? []).join('\n')}`),
    '',
  ]
    .join('\n\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()
    .concat('\n');
}
