/**
 * `node --require rebind/explain server.js`: a port that an unmodified program cannot listen on or bind is explained in the error it gets.
 *
 * The error stays the same object with the same code and the same beginning of its message; the cause is added to the message and the trace,
 * and `verdict`, `plan`, `blockers` and `report` as on a BlockedPortError. What explains is loaded only when an error comes.
 *
 * Nothing of net is replaced: Node tells of servers that begin to listen and that fail (diagnostics_channel, since Node 20). Only what it does not
 * tell, a lookup, UDP and a cluster's worker, is followed, from just before the error until it is emitted.
 */

import { subscribe } from 'node:diagnostics_channel';
import { type EventEmitter, errorMonitor } from 'node:events';
import { createRequire } from 'node:module';
import { isIP, Server } from 'node:net';
import { onPrimaryAnswer, onUdpFailure } from '../adopt/handles.ts';
import { forgetModule } from '../adopt/unseen.ts';
import { everyAddress } from '../model/address.ts';
import type { BindOptions, Endpoint, Request } from '../model/endpoint.ts';
import type { Report } from '../model/verdict.ts';
import { explainClients } from './clients.ts';
import { noAddress, takenForPath } from './misread.ts';
import { sayUnlessPrinted } from './printed.ts';

const explained = new Set(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL']);
const load = createRequire(import.meta.url);

/** What was passed to listen(), by its server. */
const asked = new WeakMap<object, ListenOptions>();

interface ListenOptions {
  readonly host?: unknown;
  readonly ipv6Only?: unknown;
  readonly reusePort?: unknown;
}

interface NodeError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  readonly address?: string | null;
  readonly port?: number;
}

/** Ends the watch over a lookup, by the server that waits for it. */
const lookingUp = new WeakMap<object, () => void>();

forgetModule(import.meta.url);
explainClients();

subscribe('tracing:net.server.listen:asyncStart', (message) => {
  const { server, options } = message as { server: Server; options: ListenOptions };
  asked.set(server, options);
  const { host } = options;
  if (typeof host !== 'string' || host === '' || host === 'localhost' || isIP(host) !== 0) return;
  lookingUp.get(server)?.();
  lookingUp.set(
    server,
    onNextError(server, (error) => misheard(server, error, host)),
  );
});

subscribe('tracing:net.server.listen:asyncEnd', (message) => lookingUp.get((message as { server: Server }).server)?.());

subscribe('tracing:net.server.listen:error', (message) => {
  const { server, error } = message as { server: Server; error: unknown };
  lookingUp.get(server)?.();
  // Cluster's own server in the primary: the worker that asked for it gets the error.
  if (!isOfCluster(server)) explain(server, error, 'tcp');
});

onUdpFailure((socket, _error, flags) => {
  const udp = { v6Only: (flags & 1) !== 0, reuseAddress: (flags & 4) !== 0, reusePort: (flags & 8) !== 0 };
  duringThisTick(socket, (error) => explain(socket, error, 'udp', udp));
});

onPrimaryAnswer((of) => {
  duringThisTick(of as EventEmitter, (error) => explain(of, error, of instanceof Server ? 'tcp' : 'udp'));
});

/** Cluster's round-robin handle listens with a server whose listener is `assert.fail` (lib/internal/cluster/round_robin_handle.js). */
function isOfCluster(server: Server): boolean {
  return server.listenerCount('connection') === 1 && server.listeners('connection')[0]?.name === 'fail';
}

/** Looks at the error that is emitted before this turn ends. */
function duringThisTick(emitter: EventEmitter, look: (error: unknown) => void): void {
  process.nextTick(onNextError(emitter, look));
}

/** Looks at the next error just before it is emitted, without being a listener that handles it. Returns what ends the watch. */
function onNextError(emitter: EventEmitter, look: (error: unknown) => void): () => void {
  emitter.once(errorMonitor, look);
  return () => emitter.off(errorMonitor, look);
}

/** A failure of ours is told and nothing else: the program gets its own error whatever happens here. */
function explain(of: object, error: unknown, protocol: 'tcp' | 'udp', options: Partial<BindOptions> = {}): void {
  if (!isError(error) || 'verdict' in error) return;
  try {
    const misread = protocol === 'tcp' ? takenForPath(error) : null;
    const report = explained.has(error.code ?? '') ? reportOf(of, error, protocol, options) : null;
    const lines = misread ?? linesOf(report);
    if (lines.length > 0) addTo(of, error, lines, report);
  } catch (failure) {
    const why = failure instanceof Error ? failure.message : String(failure);
    process.emitWarning(`rebind cannot explain ${error.message}: ${why}`, { code: 'REBIND_EXPLAIN' });
  }
}

/** The lookup of a host name failed before anything was bound. */
function misheard(server: Server, error: unknown, host: string): void {
  if (isError(error) && error.syscall === 'getaddrinfo') addTo(server, error, noAddress(host, process.env), null);
}

function reportOf(of: object, error: NodeError, protocol: 'tcp' | 'udp', known: Partial<BindOptions>): Report | null {
  const { explain: answer } = load('../why.js') as typeof import('../why.ts');
  const { os } = load('../os/index.js') as typeof import('../os/index.ts');
  const { ipv6Only, reusePort } = asked.get(of) ?? {};
  const options: Request['options'] = {
    reuseAddress: protocol === 'tcp',
    reusePort: reusePort === true,
    v6Only: ipv6Only === true,
    device: null,
    ...known,
  };
  const [endpoint, other] = endpointsOf(error, protocol);
  if (endpoint === undefined) return null;
  const report = answer({ endpoint, options }, os());
  return report.errno === 'EAFNOSUPPORT' && other !== undefined ? answer({ endpoint: other, options }, os()) : report;
}

/** Node says where in the error. In a cluster's worker it says no address where none was named: then it is the wildcard. */
function endpointsOf({ address, port }: NodeError, protocol: 'tcp' | 'udp'): Endpoint[] {
  // Node leaves a port of 0 out.
  const inet = (at: string): Endpoint => ({ protocol, address: at, port: port ?? 0 });
  if (address === undefined || address === null || address === '')
    return port === undefined || port < 0 ? [] : everyAddress.map(inet);
  if (isIP(address.replace(/%.*$/, '')) !== 0) return [inet(address)];
  return protocol === 'tcp' ? [{ protocol: 'unix', path: address }] : [];
}

function linesOf(report: Report | null): readonly string[] {
  if (report?.verdict == null) return [];
  const plan = report.plan.slice(0, 2);
  return [
    report.verdict.sentence,
    ...plan.map(({ sentence, command }) => (command === null ? sentence : `${sentence}: ${command}`)),
  ];
}

function addTo(of: object, error: NodeError, added: readonly string[], report: Report | null): void {
  const { escapeText } = load('../model/text.js') as typeof import('../model/text.ts');
  const lines = added.map((line) => escapeText(line));
  const { message, stack } = error;
  error.message = [message, ...lines.map((line) => `  ${line}`)].join('\n');
  // The trace was written when the error was made, with the message of then.
  if (stack?.includes(message) === true) error.stack = stack.replace(message, () => error.message);
  // Not enumerable: a program that prints the error prints its message and not the whole report.
  for (const name of ['verdict', 'plan', 'blockers'] as const)
    if (report !== null) Object.defineProperty(error, name, { value: report[name], configurable: true });
  if (report !== null) Object.defineProperty(error, 'report', { value: report, configurable: true });
  Object.defineProperty(error, Symbol.for('rebind.error'), { value: 'BlockedPortError' });
  // A server that nobody would hear from is a probe: to find the port taken is what it is for.
  const isProbe = of instanceof Server && of.listenerCount('connection') === 0;
  if (lines[0] !== undefined && !isProbe) sayUnlessPrinted(message, lines[0]);
}

function isError(error: unknown): error is NodeError {
  return error instanceof Error;
}
