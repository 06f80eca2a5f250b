import type { Request } from '../model/endpoint.ts';
import { ask } from '../model/judge.ts';
import type { Os } from '../os/os.ts';

/** Whether the caller's own bind would succeed now: the kernel's word, or what is known of a Unix path, which cannot be tried without leaving a file. */
export function isBindable(os: Os, request: Request): boolean {
  const probe = os.probe(request);
  if (probe !== null) return probe.errno === null;
  return ask(request, os.readFacts(request, { holders: 'none' }), null).errno === null;
}
