import type { Request } from '../model/endpoint.ts';
import { ask, bindable } from '../model/judge.ts';
import type { Os } from '../os/os.ts';

/**
 * Whether the caller's own bind would succeed now: the kernel's word, or what is known of a Unix path, which cannot be tried without
 * leaving a file. Null when it cannot be told.
 */
export function isBindable(os: Os, request: Request): boolean | null {
  const probe = os.probe(request);
  if (probe !== null) return probe.errno === null;
  const question = ask(request, os.readFacts(request, { holders: 'none' }), null);
  return question.errno === null ? bindable(question) : false;
}
