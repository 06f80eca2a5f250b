/**
 * Why can a client not connect to this target? Evidence, in the order that sends least, then the verdict.
 */

import { managersIn } from '../ask/managers/ask.ts';
import { causes, type ReachReport } from '../causes/connect/index.ts';
import type { Gap, Holder, Socket } from '../model/facts.ts';
import type { Manager } from '../model/managers.ts';
import type { Evidence, NameEvidence } from '../model/reach/evidence.ts';
import { judge } from '../model/reach/judge.ts';
import type { ParsedTarget } from '../model/reach/target.ts';
import { isLiteral } from '../model/reach/target.ts';
import { os as thisOs } from '../os/index.ts';
import type { Os } from '../os/os.ts';
import type { Reaching } from '../os/reaching.ts';
import { uptimeMs } from '../os/uptime.ts';
import { clientHello } from './client-hello.ts';
import { type Probe, seeTcp, seeUdp } from './inet.ts';
import { resolve } from './name.ts';
import { type Plan, type ReachOptions, type ReachTarget, readPlan } from './options.ts';
import { seeUnix } from './unix.ts';

/**
 * Says whether a client of this target gets through, and if not, what stops it, which processes that is about, and what would help.
 * Looks first at what needs no packet. Connects once to each address and closes at once, never into a full queue; sends a request only when
 * asked to, or for a URL. Nothing is sent to any host other than the target and the name server.
 *
 * A target that cannot be reached is an answer, not an error.
 *
 * @throws {TypeError} when the target or an option has the wrong type.
 * @throws {RangeError} when it has the right type and no meaning.
 * @example
 * ```ts
 * const report = await reach('http://localhost:3000/');
 * if (report.reachable === false) console.log(report.verdict?.sentence);
 * ```
 */
export async function reach(target: ReachTarget, options: ReachOptions = {}): Promise<ReachReport> {
  options.signal?.throwIfAborted();
  return reachAs(readPlan(target, options), thisOs());
}

/** @internal The answer for what was read already. */
export async function reachAs(plan: Plan, os: Os): Promise<ReachReport> {
  const instruments = await os.reaching();
  const started = uptimeMs();
  const leftMs = (): number => plan.timeoutMs - (uptimeMs() - started);
  const { target } = plan.parsed;
  const probe: Probe = {
    ...requestOf(plan),
    connect: plan.connect,
    patient: plan.patient,
    leftMs,
    signal: plan.signal,
  };
  const name =
    target.protocol === 'unix'
      ? null
      : await resolve(target.host, instruments, { timeoutMs: Math.max(1, leftMs()), signal: plan.signal });
  const evidence = await seeAll(plan, name, instruments, probe);
  plan.signal?.throwIfAborted();
  const asker = instruments.asker();
  const gaps: Gap[] = [];
  return judge(
    {
      platform: os.platform,
      target,
      request: plan.request,
      asker,
      advice: os.advice,
      name,
      proxies: proxiesOf(process.env),
      evidence,
      managers: await managersOf(os, evidence, asker, plan.signal),
      gaps,
    },
    causes,
  );
}

/** One address after the other: the counters of this machine are those of one attempt at a time. */
async function seeAll(
  { parsed: { target } }: Plan,
  name: NameEvidence | null,
  instruments: Reaching,
  probe: Probe,
): Promise<Evidence[]> {
  if (target.protocol === 'unix') return [await seeUnix(target.path, instruments, probe)];
  const all: Evidence[] = [];
  const { protocol, port } = target;
  for (const { address } of name?.addresses ?? []) {
    probe.signal?.throwIfAborted();
    const endpoint = { protocol, address, port };
    // What is left when the time is over is still looked at, without a packet.
    const inTime = probe.leftMs() > 0 ? probe : { ...probe, connect: false };
    all.push(
      protocol === 'udp' ? await seeUdp(endpoint, instruments, inTime) : await seeTcp(endpoint, instruments, inTime),
    );
  }
  return all;
}

/** What is sent when something is sent. */
function requestOf({ request, parsed }: Plan): Pick<Probe, 'request' | 'secure'> {
  if (!request) return { request: null, secure: null };
  const { target } = parsed;
  const host = target.protocol === 'unix' ? 'localhost' : target.host;
  const hello = clientHello(isLiteral(host) ? null : host);
  if (target.speaks === 'tls') return { request: hello, secure: null };
  return { request: httpRequest(parsed, host), secure: hello };
}

/** As plain as a request can be (RFC 9112); `Connection: close` so that the server lets go of it. */
function httpRequest({ target, path }: ParsedTarget, host: string): Buffer {
  const port = target.protocol === 'unix' || target.port === 80 ? '' : `:${target.port}`;
  const name = host.includes(':') ? `[${host.replace(/%.*$/, '')}]` : host;
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: ${name}${port}\r\nUser-Agent: rebind-reach\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
  );
}

/** The variables that curl, npm, Python and many other clients obey (curl(1), ENVIRONMENT). */
function proxiesOf(env: NodeJS.ProcessEnv): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy']) {
    const value = env[name] ?? env[name.toUpperCase()];
    if (value !== undefined && value !== '') found[name] = value;
  }
  return found;
}

/** What started the processes that have the port. */
async function managersOf(
  os: Os,
  evidence: readonly Evidence[],
  asker: ReturnType<Reaching['asker']>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, Manager>> {
  const holders = new Map<number, Holder[]>();
  for (const { inode, holders: found } of evidence.flatMap(({ conditions }) => conditions))
    holders.set(
      inode,
      found.map(({ holder }) => holder),
    );
  if (holders.size === 0) return new Map();
  const sockets: Socket[] = evidence.flatMap((each): readonly Socket[] =>
    each.protocol === 'unix' ? (each.sockets ?? []) : (each.before.sockets ?? []),
  );
  return managersIn(os, { sockets, holders, asker }, signal);
}
