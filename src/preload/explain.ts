/**
 * `node --import rebind/explain server.js`: a port that an unmodified program cannot listen on or bind is explained in the error it gets.
 *
 * The error stays the same object with the same code and the same beginning of its message; the cause is added to the message and the trace,
 * and `verdict`, `plan`, `blockers` and `report` as on a BlockedPortError. What explains is loaded only when an error comes.
 */
import dgram from 'node:dgram';
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';
import type { BindOptions, Endpoint, Request } from '../model/endpoint.ts';
import type { Report } from '../model/verdict.ts';

const explained = new Set(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL']);
const load = createRequire(import.meta.url);

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
  follow(this, 'tcp', optionsOf(args[0]));
  return Reflect.apply(listen, this, args);
} as typeof listen;

const { bind } = dgram.Socket.prototype;
dgram.Socket.prototype.bind = function (this: dgram.Socket, ...args: unknown[]) {
  follow(this, 'udp', udpOptionsOf(this));
  return Reflect.apply(bind, this, args);
} as typeof bind;

/** Looks at the one error that may follow, and goes when it or the success is there: nothing else the program emits passes through here. */
function follow(emitter: EventEmitter, protocol: 'tcp' | 'udp', options: Partial<BindOptions>): void {
  if (Object.hasOwn(emitter, 'emit')) return;
  const { emit } = emitter;
  const watched = function (this: EventEmitter, event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'listening' || event === 'error' || event === 'close') {
      if (emitter.emit === watched) Reflect.deleteProperty(emitter, 'emit');
      if (event === 'error') explain(args[0], protocol, options);
    }
    return Reflect.apply(emit, this, [event, ...args]);
  };
  Object.defineProperty(emitter, 'emit', { value: watched, configurable: true, writable: true });
}

interface NodeError extends Error {
  code?: string;
  address?: string;
  port?: number;
}

function explain(error: unknown, protocol: 'tcp' | 'udp', options: Partial<BindOptions>): void {
  if (!(error instanceof Error) || !explained.has((error as NodeError).code ?? '') || 'verdict' in error) return;
  const endpoint = endpointOf(error, protocol);
  if (endpoint === null) return;
  let report: Report;
  try {
    report = reportOf(endpoint, protocol, options);
  } catch (failure) {
    // The program gets its own error whatever happens here, and is told why it is not explained.
    process.emitWarning(
      `rebind cannot explain ${error.message}: ${failure instanceof Error ? failure.message : String(failure)}`,
      {
        code: 'REBIND_EXPLAIN',
      },
    );
    return;
  }
  addTo(error, report);
}

function reportOf(endpoint: Endpoint, protocol: 'tcp' | 'udp', options: Partial<BindOptions>): Report {
  const { explain: answer } = load('../why.js') as typeof import('../why.ts');
  const { os } = load('../os/index.js') as typeof import('../os/index.ts');
  const request: Request = {
    endpoint,
    options: { reuseAddress: protocol === 'tcp', reusePort: false, v6Only: false, device: null, ...options },
  };
  return answer(request, os());
}

/** Node says where in the error; what it does not say cannot be asked about. */
function endpointOf({ address, port }: NodeError, protocol: 'tcp' | 'udp'): Endpoint | null {
  if (address === undefined) return null;
  // Node leaves a port of 0 out.
  if (net.isIP(address.replace(/%.*$/, '')) !== 0) return { protocol, address, port: port ?? 0 };
  return protocol === 'tcp' ? { protocol: 'unix', path: address } : null;
}

function addTo(error: Error, report: Report): void {
  if (report.verdict === null) return;
  const { escapeText } = load('../model/text.js') as typeof import('../model/text.ts');
  const lines = [report.verdict.sentence];
  for (const { sentence, command } of report.plan.slice(0, 2))
    lines.push(command === null ? sentence : `${sentence}: ${command}`);
  const { message, stack } = error;
  error.message = [message, ...lines.map((line) => `  ${escapeText(line)}`)].join('\n');
  // The trace was written when the error was made, with the message of then.
  if (stack?.includes(message)) error.stack = stack.replace(message, () => error.message);
  // Not enumerable: a program that prints the error prints its message and not the whole report.
  for (const [name, value] of Object.entries({ ...report, report })) {
    if (['verdict', 'plan', 'blockers', 'report'].includes(name))
      Object.defineProperty(error, name, { value, configurable: true });
  }
  Object.defineProperty(error, Symbol.for('rebind.error'), { value: 'BlockedPortError' });
}

function optionsOf(first: unknown): Partial<BindOptions> {
  if (typeof first !== 'object' || first === null) return {};
  const { ipv6Only, reusePort } = first as { ipv6Only?: unknown; reusePort?: unknown };
  return { ...(ipv6Only === true && { v6Only: true }), ...(reusePort === true && { reusePort: true }) };
}

/** What the program told createSocket() stays on the socket under a private symbol. */
function udpOptionsOf(socket: dgram.Socket): Partial<BindOptions> {
  const key = Object.getOwnPropertySymbols(socket).find((symbol) => symbol.description === 'state symbol');
  const state = key === undefined ? {} : (socket as unknown as Record<symbol, Record<string, unknown>>)[key];
  return {
    ...(state?.['reuseAddr'] === true && { reuseAddress: true }),
    ...(state?.['reusePort'] === true && { reusePort: true }),
    ...(state?.['ipv6Only'] === true && { v6Only: true }),
  };
}
