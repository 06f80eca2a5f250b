/**
 * Clients of an unmodified program: an error of a connection that failed gets the reason in its message, as far as it can be told without another
 * packet. A program that tries again and again is told once in a while, and nothing is printed that the program does not print itself.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type EventEmitter, errorMonitor } from 'node:events';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';

const load = createRequire(import.meta.url);

/** What a look can say something about. */
const explained = new Set([
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EINVAL',
]);
/** A look takes some milliseconds: a loop that polls a port does not pay for it each time. */
const againMs = 10_000;
const mostRemembered = 100;
const lastMs = new Map<string, number>();

interface ConnectError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
}

/** Looks at every socket that net.connect makes. */
export function explainClients(): void {
  subscribe('net.client.socket', (message) => {
    // Of a socket the types know no event by a symbol.
    const { socket } = message as { socket: EventEmitter };
    // A connection that stands fails by other calls than connect(2), and is left alone.
    socket.once(errorMonitor, explain);
  });
}

function explain(error: unknown): void {
  if (!(error instanceof Error)) return;
  try {
    const all = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
    const lines = all.flatMap((each) => linesFor(each as ConnectError));
    if (lines.length > 0) addTo(error, [...new Set(lines)]);
  } catch (failure) {
    const why = failure instanceof Error ? failure.message : String(failure);
    process.emitWarning(`rebind cannot explain ${error.message}: ${why}`, { code: 'REBIND_EXPLAIN' });
  }
}

function linesFor({ code = '', syscall, address, port }: ConnectError): string[] {
  if (syscall !== 'connect' || !explained.has(code) || address === undefined || port === undefined) return [];
  if (isIP(address.replace(/%.*$/, '')) === 0 || !isDue(`${code} ${address} ${port}`)) return [];
  const { explainClient } = load('../reach/explain.js') as typeof import('../reach/explain.ts');
  const found = explainClient(address, port);
  if (found === null) return [];
  const [remedy] = found.plan;
  const help =
    remedy === undefined ? [] : [remedy.command === null ? remedy.sentence : `${remedy.sentence}: ${remedy.command}`];
  return [found.verdict.sentence, ...help];
}

function isDue(key: string): boolean {
  const now = performance.now();
  const last = lastMs.get(key);
  if (last !== undefined && now - last < againMs) return false;
  if (lastMs.size >= mostRemembered) lastMs.clear();
  lastMs.set(key, now);
  return true;
}

function addTo(error: Error, added: readonly string[]): void {
  const { escapeText } = load('../model/text.js') as typeof import('../model/text.ts');
  const { message, stack } = error;
  const lines = added.map((line) => `  ${escapeText(line)}`);
  // The error of several addresses has no message of its own.
  error.message = [message === '' ? 'connect failed' : message, ...lines].join('\n');
  if (typeof stack !== 'string') return;
  if (message !== '' && stack.includes(message)) error.stack = stack.replace(message, () => error.message);
  else if (message === '') error.stack = stack.replace(/^[^\n]*/, (first) => `${first}: ${error.message}`);
}
