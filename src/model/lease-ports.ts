/**
 * Which ports a worktree gets: the same ones each time, and none that the system hands out by itself. Pure.
 */

/** Above what services have names for, and below the automatic ports of Linux (32768) and of every other system. */
const first = 17_000;
const last = 32_767;

/** Fixed ports that tools open beside the server that people mean: vite's HMR in middleware mode, and the inspector. */
const sidePorts: ReadonlySet<number> = new Set([24_678, 24_679, 9229, 9230, 9231]);

/** Ports that a lease never stands for: the program itself has another one that people open. */
export function isSidePort(port: number): boolean {
  return sidePorts.has(port);
}

/**
 * The ports to try, in order.
 *
 * @param key Who asks, such as the path of a worktree and the command
 * @param automatic First and last automatic port, or null where that is not known
 *
 * @example
 * ```ts
 * leasePorts('/home/ann/shop', [32768, 60999]).slice(0, 2); // [21519, 21520]
 * ```
 */
export function leasePorts(key: string, automatic: readonly [number, number] | null, most = 200): number[] {
  const count = last - first + 1;
  const start = hash(key) % count;
  const ports: number[] = [];
  for (let index = 0; index < count && ports.length < most; index++) {
    const port = first + ((start + index) % count);
    const isAutomatic = automatic !== null && port >= automatic[0] && port <= automatic[1];
    if (!isAutomatic && !sidePorts.has(port)) ports.push(port);
  }
  return ports;
}

/** FNV-1a over UTF-16 units (tools.ietf.org/html/draft-eastlake-fnv): near paths get ports that are far apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return value;
}
