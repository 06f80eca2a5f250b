/**
 * Why a connection failed, told at once and without another packet: for an error that is about to be thrown. What only waiting would show, such as
 * a process that computes, is left out.
 */
import { causes } from '../causes/connect/index.ts';
import { nodeTcpOptions } from '../model/endpoint.ts';
import type { Gap, Holder, InetSocket } from '../model/facts.ts';
import type { Conditions, HolderCondition, InetEvidence } from '../model/reach/evidence.ts';
import { judge } from '../model/reach/judge.ts';
import type { Finding, Remedy } from '../model/verdict.ts';
import { os as thisOs } from '../os/index.ts';
import { reachingNow } from '../os/reaching-now.ts';

/** What is said of a failed connection. */
export interface ClientExplanation {
  readonly verdict: Finding;
  readonly plan: readonly Remedy[];
}

/** Null where nothing is known that stops a client of this address now. */
export function explainClient(address: string, port: number): ClientExplanation | null {
  const instruments = reachingNow();
  if (instruments === null) return null;
  const os = thisOs();
  const gaps: Gap[] = [];
  const endpoint = { protocol: 'tcp', address, port } as const;
  const before = instruments.before(endpoint, gaps);
  const ours = before.route === null || before.route.type === null ? null : before.route.type === 'local';
  const evidence: InetEvidence & { protocol: 'tcp' } = {
    protocol: 'tcp',
    endpoint,
    ours,
    before,
    attempt: null,
    again: null,
    connected: null,
    conditions:
      ours === true
        ? conditionsOf(before.sockets ?? [], os.readFacts({ endpoint, options: nodeTcpOptions }).holders)
        : [],
    elsewhere: ours === true && before.sockets?.length === 0 ? instruments.elsewhere(endpoint, gaps) : null,
    neighbourAfter: null,
    hops: null,
    firewall: null,
    gaps,
  };
  const { verdict, plan } = judge(
    {
      platform: os.platform,
      target: { protocol: 'tcp', host: address, port, speaks: null },
      request: false,
      asker: instruments.asker(),
      advice: os.advice,
      name: null,
      proxies: {},
      evidence: [evidence],
      managers: new Map(),
      gaps,
    },
    causes,
  );
  return verdict === null ? null : { verdict, plan };
}

/** What is known of the holders without watching them. */
function conditionsOf(sockets: readonly InetSocket[], holders: ReadonlyMap<number, readonly Holder[]>): Conditions[] {
  const condition = (holder: Holder): HolderCondition => ({
    holder,
    certain: true,
    frozen: null,
    descriptors: null,
    busy: null,
    waits: holder.accepts,
    serves: null,
  });
  return sockets.map(({ inode }) => ({
    inode,
    unseen: !holders.has(inode),
    holders: (holders.get(inode) ?? []).map(condition),
  }));
}
