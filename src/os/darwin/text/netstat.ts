/**
 * `netstat -anvW -p tcp` and `-p udp`: every socket of every user, TIME_WAIT too, with the process that last used it. Its columns changed with
 * macOS 13, 15 and 26 (network_cmds 606 to 726); the line above the sockets names them.
 */

export interface NetstatSocket {
  readonly protocol: 'tcp' | 'udp';
  /** `tcp46` is a dual-stack socket. */
  readonly family: 4 | 6 | 'both';
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number } | null;
  /** As netstat writes it, such as `LISTEN`; null for UDP. */
  readonly state: string | null;
  /** so_last_pid: a hint. Null when the column was not found. */
  readonly lastPid: number | null;
  /** so_options; null when the column was not found. */
  readonly options: number | null;
}

export function netstatArguments(protocol: 'tcp' | 'udp'): string[] {
  // Without -W addresses are cut to 22 columns.
  return ['-anvW', '-p', protocol];
}

/** Lines of sockets; what else there is, is passed over. */
export function parseNetstat(text: string): NetstatSocket[] {
  let columns: readonly string[] = [];
  const sockets: NetstatSocket[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('Proto')) columns = columnsOf(line);
    const socket = socketIn(line, columns);
    if (socket !== null) sockets.push(socket);
  }
  return sockets;
}

/** The names after `(state)`, which is where the releases differ. */
function columnsOf(header: string): string[] {
  const at = header.indexOf('(state)');
  return at < 0
    ? []
    : header
        .slice(at + 7)
        .trim()
        .split(/\s+/);
}

function socketIn(line: string, columns: readonly string[]): NetstatSocket | null {
  const match = /^(tcp|udp)(4|6|46)\s+\d+\s+\d+\s+(\S+)\s+(\S+)\s+(.*)$/.exec(line);
  if (match === null) return null;
  const [, name, families = '4', here = '', there = '', rest = ''] = match;
  const protocol = name === 'udp' ? 'udp' : 'tcp';
  const family = families === '46' ? 'both' : families === '6' ? 6 : 4;
  const local = addressOf(here, family);
  const remote = addressOf(there, family);
  if (local === null || remote === null) return null;
  // A UDP line has nothing in the column of the state.
  const words = rest.trim().split(/\s+/);
  const state = protocol === 'tcp' ? (words.shift() ?? null) : null;
  return {
    protocol,
    family,
    local,
    remote: remote.port === 0 ? null : remote,
    state,
    ...pidAndOptions(words, columns),
  };
}

function pidAndOptions(
  words: readonly string[],
  columns: readonly string[],
): Pick<NetstatSocket, 'lastPid' | 'options'> {
  const joined = columns.indexOf('process:pid');
  if (joined >= 0) {
    // A name may have blanks and colons; after the pid comes the state, five hex digits.
    const found = /^.*:(\d+)\s+[0-9a-f]{5}\s+([0-9a-f]+)\b/.exec(words.slice(joined).join(' '));
    return { lastPid: whole(found?.[1]), options: hex(found?.[2]) };
  }
  const pid = columns.indexOf('pid');
  const options = columns.indexOf('options');
  return {
    lastPid: pid < 0 ? null : whole(words[pid]),
    options: options < 0 ? null : hex(words[options]),
  };
}

/** `127.0.0.1.3000`, `*.3000`, `*.*`: the last dot is before the port. */
function addressOf(text: string, family: NetstatSocket['family']): NetstatSocket['local'] | null {
  const dot = text.lastIndexOf('.');
  if (dot < 0) return null;
  const number = text.slice(dot + 1);
  const port = number === '*' ? 0 : whole(number);
  if (port === null || port > 65_535) return null;
  const host = text.slice(0, dot);
  if (host === '*') return { address: family === 4 ? '0.0.0.0' : '::', port };
  const isIpv4 = /^\d+\.\d+\.\d+\.\d+$/.test(host);
  return { address: family !== 4 && isIpv4 ? `::ffff:${host}` : host, port };
}

function whole(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : null;
}

function hex(text: string | undefined): number | null {
  return text !== undefined && /^(0x)?[0-9a-f]{1,8}$/.test(text) ? Number.parseInt(text, 16) : null;
}
