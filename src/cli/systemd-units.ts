/**
 * A pair of systemd units that keeps the port open across restarts without hold: systemd holds the socket
 * (systemd.socket(5)), and the preload lets an unmodified Node program listen on it.
 */
import { basename, resolve } from 'node:path';
import { formatAddress } from '../model/address.ts';
import type { Endpoint } from '../model/endpoint.ts';

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

/** Two unit files. The name is that of the program's script, or of the program. */
export interface Units {
  readonly name: string;
  readonly socket: string;
  readonly service: string;
}

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
    `WorkingDirectory=${withoutSpecifiers(cwd)}`,
    `ExecStart=${[program, ...command.slice(1)].map(quote).join(' ')}`,
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
  if (endpoint.protocol === 'unix')
    return endpoint.path.startsWith('\0')
      ? `@${endpoint.path.slice(1)}`
      : withoutSpecifiers(resolve(cwd, endpoint.path));
  return formatAddress(endpoint.address, endpoint.port);
}

function unitName(command: readonly string[]): string {
  const script = command.slice(1).find((part) => !part.startsWith('-') && /\.[cm]?[jt]s$/.test(part));
  const text = basename(script ?? command[0] ?? 'program').replace(/\.[cm]?[jt]s$/, '');
  return text.replace(/[^A-Za-z0-9_.-]/g, '-') || 'program';
}

/** `%` begins a specifier in every setting (systemd.unit(5)). */
function withoutSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Quoted as systemd.service(5), "Command lines": `$` begins a variable there. */
function quote(word: string): string {
  const escaped = withoutSpecifiers(word).replaceAll('$', '$$$$');
  if (/^[A-Za-z0-9_@%+=:,./$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`;
}
