/**
 * A pair of systemd units that keeps the port open across restarts without hold: systemd holds the socket
 * (systemd.socket(5)), and the preload lets an unmodified Node program listen on it.
 */
import { basename, resolve } from 'node:path';
import { formatAddress } from '../model/address.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { quoted } from '../model/text.ts';

export interface UnitOptions {
  readonly endpoints: readonly Endpoint[];
  readonly command: readonly string[];
  /** The absolute path of the program; systemd looks it up in a path of its own (systemd.service(5)). */
  readonly program: string;
  readonly cwd: string;
  readonly graceMs: number;
  readonly stopSignal: string;
  /** The file of the preload. */
  readonly nodeOptions: string;
}

/** The text of two unit files. The name is that of the program's script, or of the program. */
export interface Units {
  readonly name: string;
  readonly socket: string;
  readonly service: string;
}

/** @throws {RangeError} for a directory or a socket that no unit file can name. */
export function units(options: UnitOptions): Units {
  const { endpoints, command, program, cwd, graceMs, stopSignal } = options;
  const name = unitName(command);
  const listen = endpoints.map((endpoint) =>
    endpoint.protocol === 'udp'
      ? `ListenDatagram=${listenOf(endpoint, cwd)}`
      : `ListenStream=${listenOf(endpoint, cwd)}`,
  );
  const isNode = /(^|\/)(node|npm|npx|tsx)$/.test(command[0] ?? '');
  const socket = [
    '[Unit]',
    `Description=The port of ${name}, open while the program restarts`,
    '',
    '[Socket]',
    ...listen,
    // As hold does: one socket for both families, and the longest queue that the kernel allows.
    ...(endpoints.some((one) => one.protocol === 'tcp' && one.address === '::') ? ['BindIPv6Only=both'] : []),
    'Backlog=4096',
    '',
    '[Install]',
    'WantedBy=sockets.target',
    '',
  ];
  const service = [
    '[Unit]',
    `Description=${name}`,
    `Requires=${name}.socket`,
    `After=${name}.socket network.target`,
    '',
    '[Service]',
    `WorkingDirectory=${plain('The working directory', directoryOf(cwd))}`,
    // The program is not looked up in the environment, so that its `$` stays single (systemd.service(5), "Command lines").
    `ExecStart=${[quote(program), ...command.slice(1).map((word) => quote(word.replaceAll('$', '$$$$')))].join(' ')}`,
    ...(isNode ? [`Environment=${quote(`NODE_OPTIONS=${options.nodeOptions}`)}`] : []),
    'Restart=on-failure',
    ...(stopSignal === 'SIGTERM' ? [] : [`KillSignal=${stopSignal}`]),
    `TimeoutStopSec=${Math.ceil(graceMs / 1_000)}`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ];
  return { name, socket: socket.join('\n'), service: service.join('\n') };
}

function listenOf(endpoint: Endpoint, cwd: string): string {
  if (endpoint.protocol !== 'unix') return withoutSpecifiers(formatAddress(endpoint.address, endpoint.port));
  const isAbstract = endpoint.path.startsWith('\0');
  return plain('The socket', isAbstract ? `@${endpoint.path.slice(1)}` : resolve(cwd, endpoint.path));
}

/** A unit is named by letters, digits and `:-_.\` (systemd.unit(5)); one that began with `-` would be an option of systemctl. */
function unitName(command: readonly string[]): string {
  const script = command.slice(1).find((part) => !part.startsWith('-') && /\.[cm]?[jt]s$/.test(part));
  const text = basename(script ?? command[0] ?? '').replace(/\.[cm]?[jt]s$/, '');
  return (
    text
      .replace(/[^A-Za-z0-9_.-]/g, '-')
      .replace(/^[-.]+/, '')
      .slice(0, longestName) || 'program'
  );
}

/** With `.service` it is a file name of at most 255 bytes. */
const longestName = 200;

/** `%` begins a specifier in every setting (systemd.unit(5)). */
function withoutSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** A setting of one value, which systemd takes as it stands: nothing in it can be quoted. @throws {RangeError} */
function plain(what: string, text: string): string {
  // Blanks at the end are cut off, and a backslash there joins the next line (systemd.syntax(7)).
  if (/[\u0000-\u001f\u007f]|[\s\\]$/.test(text))
    throw new RangeError(`${what} ${quoted(text)} has characters that a unit file cannot hold: use another path`);
  return withoutSpecifiers(text);
}

/** The same directory, by a name that does not end in what systemd cuts off. */
function directoryOf(cwd: string): string {
  return /[\s\\]$/.test(cwd) ? `${cwd}/.` : cwd;
}

/** A word of a list, quoted as systemd.syntax(7) has it: with C escapes. */
function quote(word: string): string {
  const text = withoutSpecifiers(word);
  if (/^[A-Za-z0-9_@%+=:,./$-]+$/.test(text)) return text;
  const escaped = text.replace(/["\\]/g, '\\$&').replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0);
    // A byte above 7f alone would be no UTF-8.
    return code < 0x80 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}
