/**
 * docs/systems.md and its table in the README: what stands behind the answers on each system.
 */
import { type Evidence, evidence, type Part, parts } from '../../src/model/evidence.ts';
import type { Platform } from '../../src/model/facts.ts';

const names: Readonly<Record<Platform, string>> = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' };

const words: Readonly<Record<Evidence, string>> = {
  run: 'a run here',
  code: "the vendor's code or headers",
  text: "the vendor's text",
  unrun: 'not yet run',
  no: 'not there',
};

/** A row for each part, a column for each system. */
export function systemsTable(): string {
  const systems = Object.keys(evidence) as Platform[];
  return [
    `| | ${systems.map((system) => names[system]).join(' | ')} |`,
    `|---|${systems.map(() => '---').join('|')}|`,
    ...(Object.keys(parts) as Part[]).map(
      (part) => `| ${parts[part]} | ${systems.map((system) => words[evidence[system]?.[part] ?? 'no']).join(' | ')} |`,
    ),
  ].join('\n');
}

export function systemsPage(): string {
  return `# Systems

What stands behind the answers on each system:

${systemsTable()}

- **a run here**: the tests ran on that system, and it answered.
- **the vendor's code or headers**: the vendor's own code was run, or its headers were compiled, on another system. Nobody ran rebind there.
- **the vendor's text**: manuals, and what others reported.
- **not yet run**: it is written and tested on a machine that is made up, and has not been run there.
- **not there**: rebind says that it cannot do it there, with exit status 4.

On a system where it has not been run, each answer says so: in the text, and with \`--json\` as a gap with \`ERR_REBIND_NOT_RUN\`.

## macOS

Nobody who wrote this has a Mac. What rebind knows of it comes from Apple's own code: the bind rules of xnu were run as a program on Linux (macOS 11.5, and the same functions of 15.4), and rebind gives all 38,204 answers; every structure that it reads was compiled from Apple's headers for 11.5, 12.5, 13.5, 14.6, 15.3 and 15.5, and a structure that has another size is not read: then \`netstat\`, \`lsof\` and \`ps\` are, and the answer says so.

What is different there:

- The flags and the user of every socket are visible without root, so which socket blocks a bind is certain. Which process has it is visible for your own processes only, and for root. The kernel also names the process that last used a socket; that is a hint, and rebind calls it one.
- Only the flags of the new socket count. A server that sets \`SO_REUSEADDR\`, as Node does, is not blocked by TIME_WAIT, which lasts 30 seconds.
- No user but root may use a port on an address that overlaps with a socket of another user ([other-user](causes/other-user.md)).
- \`127.0.0.1\`, \`0.0.0.0\` and \`::\` can be three programs on one port. It starts, and somebody else answers ([shadowed](causes/shadowed.md)).
- Ports below 1024 need root only on a definite address.
- A signal names the process by its audit token (macOS 14.2 and later), so that it reaches no other process. Before, rebind watches the process, compares its identity and sends the signal to its number: between the two a number could change its process, for some microseconds.
- Nothing can remove what is left of a connection, copy a socket of another process, or be told that a socket is gone. \`wait\` and \`free\` look ten times a second, and are told at once when a process exits.
- \`hold\`, \`lease\` and take-over have not been run there. They say so, and exit with status 4.

The tests that need a Mac run in the workflow of the repository (\`npm run mac\`): they print what they saw, row by row, and compare it with what is said here.
`;
}
