/**
 * From the words of a command line to the request that they describe.
 */

import { resolveRequest, type WhyOptions } from '../ask/request.ts';
import { isIpv4 } from '../model/address.ts';
import {
  type Endpoint,
  formatEndpoint,
  nodeTcpOptions,
  nodeUdpOptions,
  type ParsedEndpoint,
  parseEndpoint,
  type Request,
} from '../model/endpoint.ts';
import { escapeText } from '../model/text.ts';
import { os } from '../os/index.ts';
import type { Invocation } from './command.ts';
import { processHint } from './hint.ts';
import { endpointsIn } from './typed.ts';
import { UsageError } from './usage.ts';

/**
 * Every endpoint that was typed, read before anything is done with the first.
 *
 * @throws {UsageError} when one is malformed, names a host without an address, or cannot go with the options.
 */
export async function requestsOf(invocation: Invocation): Promise<Request[]> {
  const options = bindOptionsOf(invocation);
  const parsed = endpointsIn(invocation.operands).map((word) => wrongUsage(() => parseEndpoint(word), word));
  return Promise.all(parsed.map((one) => resolve(one, options)));
}

/** The options of the planned bind, as `bindFlags` give them. */
export function bindOptionsOf(invocation: Invocation): WhyOptions {
  const reuseAddress = invocation.flag('reuse-address');
  const device = invocation.value('device');
  return {
    ...(reuseAddress === undefined ? {} : { reuseAddress }),
    reusePort: invocation.flag('reuse-port') ?? false,
    v6Only: invocation.flag('v6-only') ?? false,
    device: device ?? null,
  };
}

/**
 * The words that make `rebind why` ask a request again.
 *
 * @example
 * ```ts
 * wordsOf({ endpoint: { protocol: 'tcp', address: '::', port: 3000 }, options: nodeTcpOptions }); // ['3000']
 * ```
 */
export function wordsOf({ endpoint, options }: Request): string[] {
  const usual = endpoint.protocol === 'udp' ? nodeUdpOptions : nodeTcpOptions;
  const words = [shortest(endpoint)];
  if (options.reuseAddress !== usual.reuseAddress)
    words.push(options.reuseAddress ? '--reuse-address' : '--no-reuse-address');
  if (options.reusePort) words.push('--reuse-port');
  if (options.v6Only) words.push('--v6-only');
  if (options.device !== null) words.push('--device', options.device);
  return words;
}

/** A bare port stands for `::`, which is what a person would type. */
function shortest(endpoint: Endpoint): string {
  if (endpoint.protocol === 'unix' || endpoint.address !== '::') return formatEndpoint(endpoint);
  return endpoint.protocol === 'udp' ? `udp/${endpoint.port}` : String(endpoint.port);
}

async function resolve(parsed: ParsedEndpoint, options: WhyOptions): Promise<Request> {
  try {
    const request = await resolveRequest(parsed, options, os());
    checkFit(request, options);
    return request;
  } catch (error) {
    // A host name without an address: the only RangeError that resolving throws.
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/**
 * An option that the endpoint has no use for was typed by mistake; ignoring it would answer another question.
 *
 * @throws {UsageError}
 */
function checkFit({ endpoint }: Request, given: WhyOptions): void {
  const place = escapeText(formatEndpoint(endpoint));
  if (endpoint.protocol === 'unix') {
    const flags: readonly (readonly [string, boolean])[] = [
      [`--${given.reuseAddress === false ? 'no-' : ''}reuse-address`, given.reuseAddress !== undefined],
      ['--reuse-port', given.reusePort === true],
      ['--v6-only', given.v6Only === true],
      ['--device', (given.device ?? null) !== null],
    ];
    const [flag] = flags.find(([, isGiven]) => isGiven) ?? [];
    if (flag !== undefined)
      throw new UsageError(`The option "${flag}" is for TCP and UDP, and ${place} is a Unix socket`);
  } else if (given.v6Only === true && isIpv4(endpoint.address)) {
    throw new UsageError(`The option "--v6-only" is for IPv6, and ${place} is an IPv4 address`);
  }
}

function wrongUsage<T>(read: () => T, word: string): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) {
      // Too large for a port, but perhaps the number of a process.
      const hint = /^\d{5,9}$/.test(word) ? processHint(Number(word), os()) : null;
      throw new UsageError(hint === null ? error.message : `${error.message}. ${escapeText(hint)}`, { cause: error });
    }
    throw error;
  }
}
