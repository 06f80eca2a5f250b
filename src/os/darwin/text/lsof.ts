/**
 * `lsof -F`: one field a line, by its first character (lsof 4.91, `lsof -F ?`). Of other users' processes it shows nothing, and says nothing
 * of that either.
 */

/** One descriptor of a TCP or UDP socket. */
export interface LsofSocket {
  readonly fd: number;
  /** The family of the socket, not that of its address. */
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number } | null;
  /** As lsof writes it, such as `LISTEN`; null for UDP. */
  readonly state: string | null;
}

export interface LsofProcess {
  readonly pid: number;
  readonly parent: number | null;
  readonly uid: number | null;
  readonly command: string;
  readonly sockets: readonly LsofSocket[];
}

type Draft = { fd: string; type: string; protocol: string; name: string; state: string | null };

/** Options for `parseLsof`: all sockets of a port. */
export function lsofArguments(protocol: 'tcp' | 'udp', port: number | null): string[] {
  const filter = `-i${protocol.toUpperCase()}${port === null ? '' : `:${port}`}`;
  return ['-nP', filter, '-Tqs', '-FpcuRftPnT'];
}

export function parseLsof(text: string): LsofProcess[] {
  const found: { pid: number; parent: number | null; uid: number | null; command: string; sockets: LsofSocket[] }[] =
    [];
  let draft: Draft | null = null;
  const finish = (): void => {
    const socket = draft === null ? null : socketOf(draft);
    if (socket !== null) found.at(-1)?.sockets.push(socket);
    draft = null;
  };
  for (const line of text.split('\n')) {
    const value = line.slice(1);
    const process = found.at(-1);
    switch (line[0]) {
      case 'p':
        finish();
        found.push({ pid: whole(value) ?? 0, parent: null, uid: null, command: '', sockets: [] });
        break;
      case 'c':
        if (process !== undefined) process.command = unescaped(value);
        break;
      case 'R':
        if (process !== undefined) process.parent = whole(value);
        break;
      case 'u':
        if (process !== undefined) process.uid = whole(value);
        break;
      case 'f':
        finish();
        draft = { fd: value, type: '', protocol: '', name: '', state: null };
        break;
      case 't':
        if (draft !== null) draft.type = value;
        break;
      case 'P':
        if (draft !== null) draft.protocol = value;
        break;
      case 'n':
        if (draft !== null) draft.name = value;
        break;
      case 'T':
        if (draft !== null && value.startsWith('ST=')) draft.state = value.slice(3);
        break;
    }
  }
  finish();
  return found.filter(({ pid }) => pid > 0);
}

function socketOf({ fd, type, protocol, name, state }: Draft): LsofSocket | null {
  const number = whole(fd);
  if (number === null || (type !== 'IPv4' && type !== 'IPv6') || (protocol !== 'TCP' && protocol !== 'UDP'))
    return null;
  const family = type === 'IPv4' ? 4 : 6;
  const [here = '', there] = name.split('->', 2);
  const local = addressOf(here, family);
  if (local === null) return null;
  return {
    fd: number,
    family,
    protocol: protocol === 'TCP' ? 'tcp' : 'udp',
    local,
    remote: there === undefined ? null : addressOf(there, family),
    state: protocol === 'UDP' ? null : state,
  };
}

/** `*:3000`, `127.0.0.1:3000`, `[::1]:3000`; the mapped address of an IPv6 socket is written as IPv4. */
function addressOf(text: string, family: 4 | 6): LsofSocket['local'] | null {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return null;
  const port = text.slice(colon + 1) === '*' ? 0 : whole(text.slice(colon + 1));
  if (port === null || port > 65_535) return null;
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  if (host === '*') return { address: family === 4 ? '0.0.0.0' : '::', port };
  const isIpv4 = /^\d+\.\d+\.\d+\.\d+$/.test(host);
  return { address: family === 6 && isIpv4 ? `::ffff:${host}` : host, port };
}

/** Bytes that cannot be printed are written as `\xNN`. */
function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function whole(text: string): number | null {
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}
