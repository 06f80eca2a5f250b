/**
 * What a person is told of a generation that failed.
 */
import { formatEndpoint } from '../model/endpoint.ts';
import { describeExit } from './exit.ts';
import type { Generation, Readiness } from './generation.ts';

/** Why it did not become ready, one sentence without a full stop. */
export function describeFailure(
  generation: Generation,
  readiness: Readiness & { ready: false },
  timeoutMs: number,
): string {
  const name = `Generation ${generation.number}`;
  if (readiness.why === 'aborted') return `${name} was given up for a newer restart`;
  const held = generation.sockets.map((socket) => formatEndpoint(socket.endpoint)).join(' and ');
  const clash = generation.blocked.find((one) => one.code === 'EADDRINUSE');
  const who =
    generation.number > 1 ? 'the running generation has; --no-overlap stops that one first' : 'somebody else has';
  const because = clash === undefined ? '' : `: it could not listen on ${formatEndpoint(clash.endpoint)}, which ${who}`;
  if (readiness.why === 'exit') return `${name} ${describeExit(generation.exit)} before it was ready${because}`;
  const elsewhere = generation.unmanaged.map(({ message }) => formatEndpoint(message.endpoint));
  const instead = elsewhere.length === 0 ? '' : `; it listens on ${elsewhere.join(' and ')} instead`;
  return `${name} did not listen on ${held || 'any port'} within ${Math.round(timeoutMs / 100) / 10} s${instead}${because}`;
}

/** What the program said last: its error when the preload heard it, else its stderr. */
export function linesOf(generation: Generation): readonly string[] {
  return generation.failure?.split('\n') ?? generation.lastLines;
}
