/**
 * What a person is told of a generation that failed.
 */
import { formatEndpoint } from '../model/endpoint.ts';
import { describeExit } from './exit.ts';
import type { Generation, Readiness } from './generation.ts';

const longestLine = 200;

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
  if (readiness.why === 'exit') {
    const said = errorLine(generation);
    return `${name} ${describeExit(generation.exit)} before it was ready${because}${said === null ? '' : `: ${said}`}`;
  }
  const elsewhere = generation.unmanaged.map(({ message }) => formatEndpoint(message.endpoint));
  const instead = elsewhere.length === 0 ? '' : `; it listens on ${elsewhere.join(' and ')} instead`;
  return `${name} did not listen on ${held || 'any port'} within ${Math.round(timeoutMs / 100) / 10} s${instead}${because}`;
}

/** The line of a JavaScript error that names it, such as `SyntaxError: Unexpected identifier`; null when there is none. */
function errorLine(generation: Generation): string | null {
  const line = linesOf(generation).find((one) => /^(Uncaught )?\w*(Error|Exception)\b.*: ./.test(one));
  return line === undefined ? null : line.slice(0, longestLine);
}

/** What the program said last: its error when the preload heard it, else its stderr. */
export function linesOf(generation: Generation): readonly string[] {
  return generation.failure?.split('\n') ?? generation.lastLines;
}
