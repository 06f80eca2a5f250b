/**
 * Why can this endpoint not be bound? Facts, then the kernel's own answer, then the verdict.
 */

import { look } from './ask/look.ts';
import { askManagers, type Until } from './ask/managers/ask.ts';
import {
  bindOptionNames,
  checkBindOptions,
  readEndpoint,
  resolveRequest,
  type WhyEndpoint,
  type WhyOptions,
} from './ask/request.ts';
import { causes, type Report } from './causes/bind/index.ts';
import { checkNames } from './check.ts';
import type { Request } from './model/endpoint.ts';
import type { HolderSearch } from './model/facts.ts';
import { answer } from './model/judge.ts';
import { os as thisOs } from './os/index.ts';
import type { Os } from './os/os.ts';

/**
 * Explains whether an endpoint can be bound, and if not, why, which processes block it, and what would help.
 * Tries one bind with exactly these options, closed at once, and never listens.
 *
 * A blocked port is an answer, not an error. A bare port means the address Node would use.
 *
 * @throws {TypeError} when the endpoint or an option has the wrong type.
 * @throws {RangeError} when it has the right type and no meaning, or a host name has no address.
 * @throws {UnsupportedError} on a platform that rebind cannot read.
 * @example
 * ```ts
 * const report = await why(3000);
 * if (report.bindable === false) console.log(report.verdict?.sentence);
 * ```
 */
export async function why(endpoint: WhyEndpoint, options: WhyOptions = {}): Promise<Report> {
  checkNames('why()', options, [...bindOptionNames, 'holders']);
  options.signal?.throwIfAborted();
  const parsed = readEndpoint(endpoint);
  checkBindOptions(options);
  const os = thisOs();
  const request = await resolveRequest(parsed, options, os);
  options.signal?.throwIfAborted();
  return answer(await askManagers(os, look(request, os, options.holders ?? 'likely'), options), causes);
}

/** @internal The answer for a request whose address is resolved, with what the managers of its holders say. */
export async function explainAsking(request: Request, os: Os, until: Until = {}): Promise<Report> {
  return answer(await askManagers(os, look(request, os), until), causes);
}

/** @internal The same without asking any manager: it does not wait for anything. */
export function explain(request: Request, os: Os, holders: HolderSearch = 'likely'): Report {
  return answer(look(request, os, holders), causes);
}
