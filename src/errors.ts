/**
 * The errors of the library. Compare `code`, never the text; the guards work across copies of the package.
 */
import { getSystemErrorMap } from 'node:util';
import type { Report, Verdict } from './causes/bind/index.ts';
import { endpointInWords } from './model/endpoint.ts';
import { escapeText } from './model/text.ts';
import type { Blocker, Remedy } from './model/verdict.ts';

export { isNativeError, isUnsupportedError, NativeError, UnsupportedError } from './os/errors.ts';

/** The same symbol as os/errors.ts brands its errors with. */
const brand = Symbol.for('rebind.error');

/**
 * The endpoint is blocked. Has the shape of Node's own error (`code`, `errno`, `syscall`, `address`, `port`) and says why.
 * The message holds the verdict's sentence with control characters escaped.
 *
 * @example
 * ```ts
 * try {
 *   await listen(server, { port: 3000 });
 * } catch (error) {
 *   if (!isBlockedPortError(error)) throw error;
 *   console.error(error.verdict?.cause); // 'other-listener'
 * }
 * ```
 */
export class BlockedPortError extends Error {
  override readonly name = 'BlockedPortError';
  /** Such as `EADDRINUSE`. */
  readonly code: string;
  /** The negative errno. */
  readonly errno: number;
  readonly syscall: string;
  /** For a Unix socket its path. */
  readonly address: string;
  /** For a Unix socket -1, as in Node's own error. */
  readonly port: number;
  readonly verdict: Verdict | null;
  readonly plan: readonly Remedy[];
  readonly blockers: readonly Blocker[];
  /** The whole answer of `why`. */
  readonly report: Report;

  /**
   * @param report What `why` answered. Its `errno` must not be null unless `cause` has a `code`.
   * @param options `cause` is the error that Node or the kernel gave; its `code`, `errno`, `syscall`, `address` and `port` are kept.
   */
  constructor(report: Report, options: { cause?: unknown; syscall?: string } = {}) {
    const original = nodeFields(options.cause);
    const code = original.code ?? report.errno ?? 'EADDRINUSE';
    const { endpoint, verdict } = report;
    const why = verdict === null ? '' : `: ${escapeText(verdict.sentence)}`;
    super(
      `Cannot listen on ${escapeText(endpointInWords(endpoint))} (${code})${why}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.errno = original.errno ?? errnoOf(code);
    this.syscall = original.syscall ?? options.syscall ?? (endpoint.protocol === 'udp' ? 'bind' : 'listen');
    this.address = original.address ?? (endpoint.protocol === 'unix' ? endpoint.path : endpoint.address);
    this.port = original.port ?? (endpoint.protocol === 'unix' ? -1 : endpoint.port);
    this.verdict = verdict;
    this.plan = report.plan;
    this.blockers = report.blockers;
    this.report = report;
    // The report is long and repeats the fields: keep it out of what console.error and an uncaught exception print.
    Object.defineProperty(this, 'report', { enumerable: false });
    Object.defineProperty(this, brand, { value: 'BlockedPortError' });
  }
}

/**
 * Works across copies of the package and across realms, which instanceof does not.
 *
 * @example
 * ```ts
 * if (isBlockedPortError(error)) console.error(error.verdict?.sentence, error.plan[0]?.command);
 * ```
 */
export function isBlockedPortError(value: unknown): value is BlockedPortError {
  return (
    typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === 'BlockedPortError'
  );
}

interface NodeFields {
  code?: string;
  errno?: number;
  syscall?: string;
  address?: string;
  port?: number;
}

function nodeFields(error: unknown): NodeFields {
  if (typeof error !== 'object' || error === null) return {};
  const { code, errno, syscall, address, port } = error as Record<string, unknown>;
  return {
    ...(typeof code === 'string' && { code }),
    ...(typeof errno === 'number' && { errno }),
    ...(typeof syscall === 'string' && { syscall }),
    ...(typeof address === 'string' && { address }),
    ...(typeof port === 'number' && { port }),
  };
}

/** The negative number of an errno name on this platform; 0 for a name that it does not have. */
function errnoOf(code: string): number {
  for (const [errno, [name]] of getSystemErrorMap()) if (name === code) return errno;
  return 0;
}
