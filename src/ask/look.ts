/**
 * Facts and the answer of the kernel, read until they agree.
 */
import type { Request } from '../model/endpoint.ts';
import type { Facts, Gap, HolderSearch, Probe } from '../model/facts.ts';
import { ask } from '../model/judge.ts';
import type { Question } from '../model/verdict.ts';
import type { Os } from '../os/os.ts';
import { doubtsAbout } from './doubts.ts';
import { suspectsOf } from './managers/suspects.ts';

/**
 * Sockets come and go between the reading and the bind: a disagreement counts only when it is still there after this
 * many further looks.
 */
const furtherLooks = 2;

/** Reads, asks the kernel, and compares; looks again while they disagree. */
export function look(request: Request, os: Os, holders: HolderSearch = 'likely'): Question {
  for (let again = 0; ; again++) {
    const read = os.readFacts(request, { holders });
    const gaps: Gap[] = [];
    const probe = os.probe(request, gaps);
    const facts = gaps.length === 0 ? read : { ...read, gaps: [...read.gaps, ...gaps] };
    const question = ask(request, facts, probe, {
      reusing: probeReusing(request, probe, os),
      redirects: redirectsOf(request, probe, os),
      ...beside(os, facts, probe),
    });
    if (!question.disagrees || again === furtherLooks) return question;
  }
}

/** What started the holders, as far as it can be told without asking, and why stopping one of them is not plainly fine. */
function beside(os: Os, facts: Facts, probe: Probe | null): Pick<Question, 'managers' | 'doubts'> {
  // Nobody is in the way of a bind that works.
  if (probe?.errno === null) return { managers: new Map(), doubts: new Map() };
  const holders = [...facts.holders.values()].flat();
  const managers = suspectsOf(os, holders, facts.asker);
  const watchers = [...managers.values()].flatMap(({ process }) => process ?? []);
  return { managers, doubts: doubtsAbout([...holders, ...watchers], facts) };
}

/** Asked for only where the bind works: else there is a nearer reason. */
function redirectsOf({ endpoint }: Request, probe: Probe | null, os: Os): Question['redirects'] {
  return endpoint.protocol === 'unix' || probe?.errno !== null ? [] : os.readRedirects(endpoint);
}

/** Would SO_REUSEADDR help now? TIME_WAIT hides whether its server had set it, so only the kernel can tell. */
function probeReusing(request: Request, probe: Probe | null, os: Os): Probe | null {
  const { endpoint, options } = request;
  if (endpoint.protocol !== 'tcp' || options.reuseAddress || probe?.errno !== 'EADDRINUSE') return null;
  return os.probe({ ...request, options: { ...options, reuseAddress: true } });
}
