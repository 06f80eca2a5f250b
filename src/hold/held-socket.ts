import { fstatSync, lstatSync, unlinkSync } from 'node:fs';
import { type KeptFile, keepFile, secondName } from '../act/keep-file.ts';
import { removeSocketFile } from '../act/leftovers.ts';
import { familyOf } from '../model/address.ts';
import {
  type BindOptions,
  type Endpoint,
  nodeTcpOptions,
  nodeUdpOptions,
  type UnixEndpoint,
} from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import type { PassedSocket } from './wire/passed.ts';

/** A socket that hold keeps, and its descriptor in this process. */
export interface HeldSocket extends PassedSocket {
  readonly fd: number;
  /** True when hold made it: no other program has it but those that hold runs. */
  readonly own: boolean;
  /** A Unix socket's file, which hold made and removes: device and inode, so that another's file is never removed. */
  readonly file: { readonly path: string; readonly identity: string } | null;
  /** Brings that file back when a program removes it; null where it cannot be kept. */
  readonly kept: KeptFile | null;
}

/**
 * Binds and listens.
 *
 * @throws {NativeError} with the `code` of bind or listen.
 */
export function openHeld(
  endpoint: Endpoint,
  explicit: boolean,
  backlog: number,
  options: Partial<BindOptions> = {},
): HeldSocket {
  const { sockets } = os();
  if (endpoint.protocol === 'unix') removeStale(endpoint);
  const family = endpoint.protocol === 'unix' ? 4 : familyOf(endpoint.address);
  const fd = sockets.open(endpoint.protocol, family);
  try {
    if (endpoint.protocol !== 'unix')
      sockets.setBindOptions(fd, family, {
        ...(endpoint.protocol === 'tcp' ? nodeTcpOptions : nodeUdpOptions),
        ...options,
      });
    sockets.bind(fd, endpoint);
    if (endpoint.protocol !== 'udp') sockets.listen(fd, backlog);
    // As systemd passes them: a plain accept(2) waits. Node and other event loops change it themselves.
    sockets.setBlocking(fd, true);
    const described = describe(fd, endpoint.protocol === 'unix' ? endpoint : sockets.address(fd), explicit, true);
    return { ...described, v6Only: options.v6Only ?? false, kept: keepFileOf(endpoint) };
  } catch (error) {
    sockets.close(fd);
    throw error;
  }
}

/** Takes over a descriptor of this process: from systemd, from another process, or learned from the program. */
export function keep(fd: number, explicit: boolean, asked: PassedSocket['asked'] = null): HeldSocket {
  return { ...describe(fd, os().sockets.address(fd), explicit, false), asked };
}

/** Programs remove the file before they listen, and when they exit. */
export function keepFileOf(endpoint: Endpoint): KeptFile | null {
  if (endpoint.protocol !== 'unix' || endpoint.path.startsWith('\0')) return null;
  const kept = keepFile(os(), endpoint.path, 'long');
  return typeof kept === 'string' ? null : kept;
}

/** False when its file is gone, so that no client finds it. */
export function isReachable({ file, kept }: HeldSocket): boolean {
  if (file === null) return true;
  kept?.restore();
  const stat = lstatSync(file.path, { throwIfNoEntry: false });
  return stat !== undefined && `${stat.dev}:${stat.ino}` === file.identity;
}

/** Closes a held socket, and removes its file when hold made it. */
export function letGo(socket: HeldSocket): void {
  os().sockets.close(socket.fd);
  socket.kept?.end();
  if (socket.file === null) return;
  try {
    const stat = lstatSync(socket.file.path);
    if (`${stat.dev}:${stat.ino}` === socket.file.identity) unlinkSync(socket.file.path);
  } catch (error) {
    // Somebody removed it, or the directory may not be written any more: the socket is closed either way.
    if (!isFileError(error)) throw error;
  }
}

/** `dev:inode`, as the program will read it with fstat(2). */
export function socketIdentity(fd: number): string {
  const stat = fstatSync(fd);
  return `${stat.dev}:${stat.ino}`;
}

function describe(fd: number, endpoint: Endpoint, explicit: boolean, made: boolean): HeldSocket {
  return {
    fd,
    endpoint,
    identity: socketIdentity(fd),
    explicit,
    asked: null,
    v6Only: false,
    own: made,
    ...fileFields(made ? fileOf(endpoint) : null),
    kept: null,
  };
}

/** What hold and the program know of it. */
export function fileFields(file: HeldSocket['file']): Pick<HeldSocket, 'file' | 'fileIdentity'> {
  return { file, fileIdentity: file?.identity ?? null };
}

/** The file of a Unix socket as it is now; null for a socket that has none. */
export function fileOf(endpoint: Endpoint): HeldSocket['file'] {
  if (endpoint.protocol !== 'unix' || endpoint.path.startsWith('\0')) return null;
  const stat = lstatSync(endpoint.path);
  return { path: endpoint.path, identity: `${stat.dev}:${stat.ino}` };
}

/** A Unix socket whose server is gone leaves its file, which blocks the next bind. */
function removeStale(endpoint: UnixEndpoint): void {
  if (endpoint.path.startsWith('\0')) return;
  try {
    // Whatever it answers, bind has the last word: it names the same path.
    for (const path of [endpoint.path, secondName(endpoint.path)]) removeSocketFile(os(), path, null);
  } catch (error) {
    if (!isFileError(error)) throw error;
  }
}

function isFileError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR';
}
