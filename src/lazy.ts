/**
 * The functions that can be waited for, each loaded when it is first called: importing the library costs what its small parts cost.
 */
import { beginListen } from './server/pending.ts';

/**
 * Why can this endpoint not be bound? Facts, the kernel's own answer, the verdict, and what would help. A blocked port is an answer, not an error.
 *
 * @example
 * ```ts
 * const report = await why(3000);
 * if (report.bindable === false) console.log(report.verdict?.sentence);
 * ```
 */
export const why: typeof import('./why.ts').why = async (...args) => (await import('./why.ts')).why(...args);

/**
 * Makes an endpoint bindable, by the gentlest way that works; never harms a client, itself, its ancestors, or a process that it cannot prove is the holder.
 *
 * @example
 * ```ts
 * const report = await free(3000);
 * if (!report.bindable) console.error(report.verdict?.sentence, report.steps);
 * ```
 */
export const free: typeof import('./free.ts').free = async (...args) => (await import('./free.ts')).free(...args);

/**
 * Waits until an endpoint is free, or with `for: 'open'` until somebody listens on it. Sleeps on what the kernel tells; never connects.
 *
 * @example
 * ```ts
 * const child = spawn('node', ['server.js']);
 * const { done } = await wait(3000, { for: 'open', pid: child.pid, timeoutMs: 10_000 });
 * ```
 */
export const wait: typeof import('./wait/wait.ts').wait = async (...args) =>
  (await import('./wait/wait.ts')).wait(...args);

/**
 * Reserves a port that stays the same from one run to the next.
 *
 * @example
 * ```ts
 * const leased = await lease({ key: 'shop-e2e' });
 * const child = spawn('node', ['server.js'], { env: { ...process.env, PORT: String(leased.port) } });
 * child.on('exit', () => leased.release());
 * ```
 */
export const lease: typeof import('./server/lease.ts').lease = async (...args) =>
  (await import('./server/lease.ts')).lease(...args);

/**
 * Tells orchestrators and load balancers how a server is: `/livez` and `/readyz`, on a port of its own or by its handler, and HAProxy's
 * agent-check.
 *
 * @example
 * ```ts
 * await listen(server, 3000);
 * await health(server, { port: 9000, checks: { database: () => database.ping() } });
 * close.onSignals(server, { lameDuckMs: 'auto' });
 * ```
 */
export const health: typeof import('./server/health.ts').health = async (...args) =>
  (await import('./server/health.ts')).health(...args);

/**
 * Says whether a client of this target gets through, and if not, what stops it. Connects once to each address and closes at once; sends a
 * request only when asked to, or for a URL. A target that cannot be reached is an answer, not an error.
 *
 * @example
 * ```ts
 * const report = await reach('http://localhost:3000/');
 * if (report.reachable === false) console.log(report.verdict?.sentence);
 * ```
 */
export const reach: typeof import('./reach/reach.ts').reach = async (...args) =>
  (await import('./reach/reach.ts')).reach(...args);

/**
 * Keeps ports open while a command restarts.
 *
 * @example
 * ```ts
 * const held = await hold({ endpoints: ['3000'], command: ['node', 'server.js'] });
 * held.on('ready', ({ generation, afterMs }) => console.log(`generation ${generation} was ready after ${afterMs} ms`));
 * await held.restart();
 * process.exitCode = await held.done;
 * ```
 */
export const hold: typeof import('./hold/index.ts').hold = async (...args) =>
  (await import('./hold/index.ts')).hold(...args);

/**
 * Listens on the socket that `hold`, or systemd, passed to this process.
 *
 * @example
 * ```ts
 * if ((await adopt(server)) === null) server.listen(3000);
 * ```
 */
export const adopt: typeof import('./adopt/adopt.ts').adopt = async (...args) =>
  (await import('./adopt/adopt.ts')).adopt(...args);

/**
 * Listens for any server that Node made, and resolves with the real address; options that Node cannot set are set between socket() and bind().
 * A blocked port is a BlockedPortError that knows why, or is waited for, taken over, or replaced by the next one: see `busy`.
 *
 * @example
 * ```ts
 * const server = http.createServer(app);
 * const { port } = await listen(server, { port: 3000, busy: 'next', keepAlive: true });
 * ```
 */
export const listen: typeof import('./server/listen.ts').listen = async (server, target) => {
  // The server may be closed while the rest is loaded.
  const pending = beginListen(server);
  try {
    return await (await import('./server/listen.ts')).listenAs(pending, server, target);
  } finally {
    pending?.end();
  }
};

/**
 * Reserves a port: bound, not only looked up, until a server, a child or nobody uses it.
 *
 * @example
 * ```ts
 * const reserved = await reserve();
 * const child = spawn('node', ['server.js'], { env: { ...process.env, PORT: String(reserved.port) } });
 * child.on('exit', () => reserved.release());
 * ```
 */
export const reserve: typeof import('./server/reserve.ts').reserve = async (...args) =>
  (await import('./server/reserve.ts')).reserve(...args);
