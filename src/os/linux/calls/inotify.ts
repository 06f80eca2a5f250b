/**
 * inotify(7), as the kernel has it. Node's own watch of a directory and what is below it is made of many single ones, and loses
 * a file that is replaced by renaming (Node 20), and says nothing when a limit is reached.
 */
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import type { FileEvent, FileWatches } from '../../file-watch.ts';
import { hasLibc, libc } from './libc.ts';

const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const IN_MODIFY = 0x2;
const IN_CLOSE_WRITE = 0x8;
const IN_MOVED_FROM = 0x40;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE = 0x200;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_UNMOUNT = 0x2000;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
const IN_ONLYDIR = 0x1000000;
const IN_MASK_ADD = 0x20000000;

const names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
const writing = IN_MODIFY | IN_CLOSE_WRITE;
/** struct inotify_event without its name. */
const headSize = 16;
const readSize = 65_536;

export const fileWatches: FileWatches = {
  open(onEvents) {
    if (!hasLibc()) return { refused: 'not-permitted', code: 'ENOSYS' };
    const fd = libc().inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return refusal(libc().errno());
    const buffer = Buffer.alloc(readSize);
    const poll = libc().watch(fd, () => {
      const length = libc().read(fd, buffer, buffer.length);
      if (length > 0) onEvents(parse(buffer.subarray(0, length)));
    });
    // Like every watcher of Node: it is the held command that keeps hold alive.
    poll.unref();
    let isOpen = true;
    return {
      watch(directory, writes) {
        const mask = (writes ? names | writing : names) | IN_ONLYDIR | IN_MASK_ADD;
        const watch = libc().inotify_add_watch(fd, directory, mask);
        return watch >= 0 ? watch : refusal(libc().errno());
      },
      unwatch(watch) {
        libc().inotify_rm_watch(fd, watch);
      },
      close() {
        if (!isOpen) return;
        isOpen = false;
        poll.close();
        libc().close(fd);
      },
    };
  },
};

function refusal(errno: number): { readonly refused: 'missing' | 'not-permitted' | 'limit'; readonly code: string } {
  const { code } = new NativeError('inotify', errno);
  // inotify_add_watch(2): ENOSPC is max_user_watches; inotify_init(2): EMFILE is max_user_instances.
  const { constants } = process.getBuiltinModule('node:os');
  if (errno === constants.errno.ENOSPC || errno === constants.errno.EMFILE || errno === constants.errno.ENOMEM)
    return { refused: 'limit', code };
  if (errno === constants.errno.ENOENT || errno === constants.errno.ENOTDIR) return { refused: 'missing', code };
  return { refused: 'not-permitted', code };
}

/** @internal */
export function parse(bytes: Buffer): FileEvent[] {
  const found: FileEvent[] = [];
  const u32 = (at: number): number => (littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  for (let at = 0; at + headSize <= bytes.length; ) {
    const watch = u32(at);
    const mask = u32(at + 4);
    const size = u32(at + 12);
    const raw = bytes.subarray(at + headSize, at + headSize + size);
    const end = raw.indexOf(0);
    const name = raw.subarray(0, end < 0 ? raw.length : end).toString('utf8');
    at += headSize + size;
    if ((mask & IN_Q_OVERFLOW) !== 0) found.push({ watch: null, name: '', what: 'changed' });
    else if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) !== 0)
      found.push({ watch, name: '', what: 'ended' });
    else if ((mask & (IN_CREATE | IN_MOVED_TO)) !== 0) found.push({ watch, name, what: 'appeared' });
    else if ((mask & (IN_DELETE | IN_MOVED_FROM)) !== 0) found.push({ watch, name, what: 'vanished' });
    else if ((mask & (IN_MODIFY | IN_CLOSE_WRITE)) !== 0) found.push({ watch, name, what: 'changed' });
  }
  return found;
}
