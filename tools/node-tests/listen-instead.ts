/**
 * `--require` of this file puts rebind's `listen` in the place of Node's own, for `npm run node-tests`. What is inherent in a promise differs:
 * Node throws some errors at once, and the address of a server is known on the line after `listen()`.
 */
import net, { type Server } from 'node:net';
import { type ListenOptions, listen } from '../../src/index.ts';

type NodeListen = (this: Server, ...args: unknown[]) => Server;
type Normalized = readonly [Record<string, unknown>, (() => void) | null];

const plain = net.Server.prototype.listen as unknown as NodeListen;
const { _normalizeArgs: normalize } = net as unknown as { _normalizeArgs(args: readonly unknown[]): Normalized };
/** Servers whose `listen` is rebind's own call. */
const own = new WeakSet<Server>();

const instead: NodeListen = function (...args) {
  const [options, callback] = normalize(args);
  const isHandle = ['_handle', 'handle'].some((name) => name in options);
  if (own.has(this) || isHandle) return Reflect.apply(plain, this, args);
  const isAnyPort = args.length === 0 || typeof args[0] === 'function';
  // As Node reads it: the second or third argument.
  const backlog = args.slice(1, 3).find((arg) => typeof arg === 'number');
  if (callback !== null) this.once('listening', callback);
  own.add(this);
  listen(this, isAnyPort ? undefined : ({ backlog, ...options } as ListenOptions))
    .catch((error: Error) => {
      // Where somebody listens for it, rebind has emitted it.
      if (this.listenerCount('error') === 0 && !isClosed(error)) this.emit('error', error);
    })
    .finally(() => own.delete(this));
  return this;
};
Object.defineProperty(net.Server.prototype, 'listen', { value: instead, configurable: true, writable: true });

/** As with Node's own, a server that is closed meanwhile says 'close' alone. */
function isClosed(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ERR_SERVER_NOT_RUNNING' || error.name === 'AbortError';
}
