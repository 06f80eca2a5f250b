/**
 * Waits until an endpoint can be bound, or until a program listens on it. Sleeps on kernel events; never connects.
 */
import { checkBindOptions, readEndpoint, resolveRequest, type WhyEndpoint } from '../ask/request.ts';
import { checkNames } from '../check.ts';
import { os as thisOs } from '../os/index.ts';
import { untilFree } from './free.ts';
import { untilOpen } from './open.ts';
import { type Clock, checkWaitOptions, optionNames, type WaitOptions, type WaitReport } from './options.ts';

/**
 * Resolves when the endpoint is free (or open), or cannot be in time: that is an answer too.
 *
 * @throws {TypeError} {RangeError} {UnsupportedError} as `why` does. Rejects with the signal's reason when it is aborted.
 * @example
 * ```ts
 * const child = spawn('node', ['server.js']);
 * const { done } = await wait(3000, { for: 'open', pid: child.pid, timeoutMs: 10_000 });
 * ```
 */
export async function wait(endpoint: WhyEndpoint, options: WaitOptions = {}): Promise<WaitReport> {
  options.signal?.throwIfAborted();
  const parsed = readEndpoint(endpoint);
  checkNames('wait()', options, optionNames);
  checkBindOptions(options);
  checkWaitOptions(options);
  const os = thisOs();
  const request = await resolveRequest(parsed, options, os);
  const startedAt = performance.now();
  const clock: Clock = {
    elapsedMs: () => performance.now() - startedAt,
    leftMs: () =>
      options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : options.timeoutMs - (performance.now() - startedAt),
  };
  const mode = options.for ?? 'free';
  const end =
    mode === 'free' ? await untilFree(os, request, options, clock) : await untilOpen(os, request, options, clock);
  return {
    endpoint: request.endpoint,
    options: request.options,
    for: mode,
    done: end.failure === null,
    listeners: [],
    addresses: [],
    elsewhere: [],
    verdict: null,
    gaps: [],
    ...end,
    elapsedMs: Math.round(clock.elapsedMs()),
  };
}
