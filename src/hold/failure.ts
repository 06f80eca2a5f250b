/**
 * What a person is told of a generation that failed.
 */
import { existsSync } from 'node:fs';
import { formatEndpoint } from '../model/endpoint.ts';
import { describeExit } from './exit.ts';
import { describeError } from './faults.ts';
import type { Generation } from './generation.ts';
import type { Because } from './machine.ts';

const longestLine = 200;

/** Why it did not become ready, one sentence without a full stop. */
export function describeFailure(generation: Generation, because: 'exit' | 'late', timeoutMs: number): string {
  const name = `Generation ${generation.number}`;
  const held = generation.sockets.map((socket) => formatEndpoint(socket.endpoint)).join(' and ');
  const clash = generation.blocked.find((one) => one.code === 'EADDRINUSE');
  const who =
    generation.number > 1 ? 'the running generation has; --no-overlap stops that one first' : 'another program has';
  const clashed = clash === undefined ? '' : `: it could not listen on ${formatEndpoint(clash.endpoint)}, which ${who}`;
  if (because === 'exit') {
    const said = errorLine(generation);
    return `${name} ${describeExit(generation.exit)} before it was ready${clashed}${said === null ? '' : `: ${said}`}`;
  }
  const elsewhere = generation.unmanaged.map(({ message }) => formatEndpoint(message.endpoint));
  const instead = elsewhere.length === 0 ? '' : `; it listens on ${elsewhere.join(' and ')} instead`;
  return `${name} did not listen on ${held || 'any port'} within ${Math.round(timeoutMs / 100) / 10} s${instead}${clashed}`;
}

/** What a question about a restart is answered, one sentence without a full stop; null when it went well. */
export function describeOutcome(because: Because, number: number | null, whyNot: () => string): string | null {
  if (because === 'ready') return null;
  if (because === 'stopping') return 'Hold is stopping';
  if (because !== 'newer') return whyNot();
  return number === null ? 'A newer restart took its place' : `Generation ${number} was given up for a newer restart`;
}

/** Why the system did not let it start, one sentence without a full stop. */
export function describeStartFailure(number: number, error: unknown, cwd: string): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  // spawn(2) says ENOENT of the program, which is the shell; what is missing is the place.
  const isGone = (code === 'ENOENT' || code === 'ENOTDIR') && !existsSync(cwd);
  const why = isGone ? `its working directory ${cwd} does not exist any more` : describeError(error);
  return `Generation ${number} could not be started: ${why}`;
}

/** The line of a JavaScript error that names it, such as `SyntaxError: Unexpected identifier`; null when there is none. */
function errorLine(generation: Generation): string | null {
  const line = linesOf(generation).find((one) => /^(Uncaught )?\w*(Error|Exception)\b.*: ./.test(one));
  return line === undefined ? null : line.slice(0, longestLine);
}

/** What the program said last: its error when the preload heard it, else its stderr. */
export function linesOf(generation: Generation | undefined): readonly string[] {
  return generation?.failure?.split('\n') ?? generation?.lastLines ?? [];
}
