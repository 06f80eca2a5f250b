/**
 * `net.local.stream.pcblist64` and that of datagrams: every Unix socket with the name that it was bound to (unp_pcblist64 of
 * bsd/kern/uipc_usrreq.c, for macOS only). Readable by everybody.
 */
import type { UnixSocket } from '../../model/facts.ts';
import { LayoutError, textIn } from './layout.ts';
import { xunpcb64, xunpgen } from './layouts.ts';
import { SO_ACCEPTCONN } from './numbers.ts';
import { unixId } from './socket-info.ts';

/** The sockets that have a name. @throws {LayoutError} when an entry has another size than in the releases that are known. */
export function readUnixList(bytes: Buffer, type: 'stream' | 'datagram', darwin: number): UnixSocket[] {
  const head = xunpgen.of(darwin);
  const entry = xunpcb64.of(darwin);
  const { xug_len: first } = head.read(bytes);
  if (first !== head.size) throw new LayoutError(`xunpgen has ${head.size} bytes, and says ${first}`);
  const sockets: UnixSocket[] = [];
  for (let at = head.size; at + 4 <= bytes.length; ) {
    const size = bytes.readUInt32LE(at);
    // The second head.
    if (size <= head.size) break;
    if (size !== entry.size) throw new LayoutError(`xunpcb64 has ${entry.size} bytes, and says ${size}`);
    const one = entry.read(bytes, at);
    at += size;
    const path = textIn(one.sun_path.subarray(0, Math.max(0, one.sun_len - 2)));
    if (path === '') continue;
    const isListening = (one.so_options & SO_ACCEPTCONN) !== 0;
    sockets.push({
      protocol: 'unix',
      type,
      // A connection that was accepted has no file of its own.
      state: isListening ? 'LISTEN' : one.xunp_vnode === 0n || one.xunp_conn !== 0n ? 'ESTABLISHED' : 'BOUND',
      path,
      inode: unixId(one.xso_so),
      uid: one.so_uid,
      queue: isListening ? { waiting: one.so_qlen, limit: one.so_qlimit } : null,
      elsewhere: false,
    });
  }
  return sockets;
}
