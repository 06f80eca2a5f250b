/**
 * `npm run bench -- reach`: how long an answer about a local port takes, beside `rebind why` and the tools that only say open or closed; and what each
 * of them says in staged situations. `npm ci --prefix tools/peers` adds wait-on and tcp-port-used.
 */
import type { Report } from './tables.ts';

/** Both parts need ports and rules of their own. */
export async function run(args: readonly string[], report: Report): Promise<void> {
  const there = new URL('reach-rounds.js', import.meta.url).href;
  if (!report.addFromNamespace(there, args))
    console.log('\nNot measured: it needs a namespace, and this machine does not allow it');
}
