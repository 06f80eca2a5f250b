/**
 * What a descriptor of this process writes to, such as a log.
 */
export interface Streams {
  /** What kind of thing it is; null when it is not open. */
  kindOf(fd: number): 'file' | 'pipe' | 'socket' | 'terminal' | 'other' | null;
  /**
   * A descriptor of the same pipe or terminal whose writes never wait. It shares no flags with the original: a program that has the same
   * log must not find it non-blocking. Null when the kernel gives none; then `write` is what does not wait.
   */
  openWithoutWaiting(fd: number): number | null;
  /** A new pipe, for what a child writes. Both ends are closed on exec. @throws {NativeError} */
  pipe(): { readonly readable: number; readonly writable: number };
  /** A descriptor that reads the same file from its beginning; null when that is not allowed. */
  openToRead(fd: number): number | null;
  /** Writes as much as can be written at once, and gives the number of bytes, or the errno name: EAGAIN when it would have to wait. */
  writeWithoutWaiting(fd: number, bytes: Uint8Array): number | string;
}
