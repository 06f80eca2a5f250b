/**
 * The functions that can be waited for, each loaded when it is first called: importing the library costs what its small parts cost.
 */

/** Why can this endpoint not be bound? Facts, the kernel's own answer, the verdict, and what would help. A blocked port is an answer, not an error. */
export const why: typeof import('./why.ts').why = async (...args) => (await import('./why.ts')).why(...args);

/** Makes an endpoint bindable, by the gentlest way that works; never harms a client, itself, its ancestors, or a process that it cannot prove is the holder. */
export const free: typeof import('./free.ts').free = async (...args) => (await import('./free.ts')).free(...args);

/** Waits until an endpoint is free, or with `for: 'open'` until somebody listens on it. Sleeps on what the kernel tells; never connects. */
export const wait: typeof import('./wait.ts').wait = async (...args) => (await import('./wait.ts')).wait(...args);

/** Keeps ports open while a command restarts. */
export const hold: typeof import('./hold/index.ts').hold = async (...args) =>
  (await import('./hold/index.ts')).hold(...args);

/** Listens on the socket that `hold`, or systemd, passed to this process. */
export const adopt: typeof import('./hold/adopt.ts').adopt = async (...args) =>
  (await import('./hold/adopt.ts')).adopt(...args);

/**
 * Listens for any server that Node made, and resolves with the real address; options that Node cannot set are set between socket() and bind().
 * A blocked port is a BlockedPortError that knows why, or is waited for, taken over, or replaced by the next one: see `busy`.
 *
 * @example
 * ```ts
 * const { port } = await listen(http.createServer(app), { port: 3000, busy: 'take-over' });
 * ```
 */
export const listen: typeof import('./server/listen.ts').listen = async (...args) =>
  (await import('./server/listen.ts')).listen(...args);

/**
 * Reserves a port: bound, not only looked up, until a server, a child or nobody uses it.
 *
 * @example
 * ```ts
 * using reserved = await reserve();
 * spawn('node', ['server.js'], { env: { ...process.env, PORT: String(reserved.port) } });
 * ```
 */
export const reserve: typeof import('./server/reserve.ts').reserve = async (...args) =>
  (await import('./server/reserve.ts')).reserve(...args);
