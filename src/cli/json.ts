/**
 * The JSON documents, built field by field: what is printed is what is written here, whatever the objects behind it grow.
 * docs/json.md describes them. Fields may be added; none is removed or changes its meaning within one schema number.
 */

import type { FreeReport } from '../free.ts';
import type { FileReport } from '../manifests/check-files.ts';
import type { BindOptions, Endpoint } from '../model/endpoint.ts';
import type { Address, Gap, Holder, InetSocket, UnixSocket } from '../model/facts.ts';
import { reportedHolder } from '../model/judge.ts';
import type { Manager } from '../model/managers.ts';
import type { ReachedAddress, ReachReport } from '../model/reach/report.ts';
import type { Target } from '../model/reach/target.ts';
import { escapeJson } from '../model/text.ts';
import type { Blocker, BlockerHolder, Finding, Remedy, Report } from '../model/verdict.ts';
import type { WaitReport } from '../wait/options.ts';

/** The number of the layout. */
export const schema = 1;

/**
 * Exactly one document, indented, with a newline at the end.
 */
export function print(document: object): string {
  return `${escapeJson(JSON.stringify(document, null, 2))}
`;
}

/** The document of `why`: of one endpoint its own fields, of several a list of them. */
export function whyDocument(reports: readonly Report[]) {
  const [only] = reports;
  if (reports.length === 1 && only !== undefined) return { schema, ...whyFields(only), error: null };
  return { schema, results: reports.map(whyFields), error: null };
}

function whyFields(report: Report) {
  return {
    endpoint: endpointOf(report.endpoint),
    options: optionsOf(report.options),
    bindable: report.bindable,
    errno: report.errno,
    verdict: report.verdict === null ? null : findingOf(report.verdict),
    also: report.also.map(findingOf),
    blockers: report.blockers.map(blockerOf),
    plan: report.plan.map(remedyOf),
    gaps: report.gaps.map(gapOf),
  };
}

/** What `ls` shows. */
interface Listing {
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
  readonly managers: ReadonlyMap<number, Manager>;
  readonly gaps: readonly Gap[];
}

/** The document of `ls`. */
export function lsDocument(sockets: readonly (InetSocket | UnixSocket)[], listing: Listing) {
  return {
    schema,
    sockets: sockets.filter(isInet).map((socket) => inetOf(socket, listing)),
    unixSockets: sockets.filter(isUnix).map((socket) => unixOf(socket, listing)),
    gaps: listing.gaps.map(gapOf),
    error: null,
  };
}

/** The document of `check`. */
export function checkDocument(reports: readonly FileReport[]) {
  return {
    schema,
    files: reports.map(({ path, kind, findings, gaps, problem }) => ({
      path,
      kind,
      findings: findings.map(({ rule, line, level, sentence, reason, fix }) => ({
        rule,
        line,
        level,
        sentence,
        reason,
        fix,
      })),
      gaps: [...gaps],
      problem,
    })),
    error: null,
  };
}

/** One line of `ls --watch --json`. */
export function lsEventDocument(
  event: 'added' | 'removed',
  socket: InetSocket | UnixSocket,
  listing: Listing,
  atMs: number,
) {
  return {
    schema,
    event,
    at: new Date(atMs).toISOString(),
    socket: isUnix(socket) ? unixOf(socket, listing) : inetOf(socket, listing),
  };
}

function isInet(socket: InetSocket | UnixSocket): socket is InetSocket {
  return socket.protocol !== 'unix';
}

function isUnix(socket: InetSocket | UnixSocket): socket is UnixSocket {
  return socket.protocol === 'unix';
}

function inetOf(socket: InetSocket, listing: Listing) {
  return {
    protocol: socket.protocol,
    state: socket.state,
    local: addressOf(socket.local),
    uid: socket.uid,
    inode: socket.inode,
    device: socket.device,
    v6Only: socket.v6Only,
    holders: listedHolders(socket.inode, listing),
  };
}

function unixOf({ type, state, path, uid, inode }: UnixSocket, listing: Listing) {
  return { protocol: 'unix', type, state, path, uid, inode, holders: listedHolders(inode, listing) };
}

function listedHolders(inode: number, { holders, managers }: Listing) {
  return (holders.get(inode) ?? []).map((holder) => holderOf(reportedHolder(holder, managers.get(holder.pid) ?? null)));
}

const brokenByUser = { kind: 'interrupted', message: 'Interrupted before the end' };

/** The document of `free`: of one endpoint its own fields, of several a list of them. */
export function freeDocument(reports: readonly FreeReport[], interrupted: boolean, failure: string | null = null) {
  const system = failure === null ? null : { kind: 'system', message: failure };
  const error = interrupted ? brokenByUser : system;
  const [only] = reports;
  if (reports.length === 1 && only !== undefined) return { schema, ...freeFields(only), error };
  return { schema, results: reports.map(freeFields), error };
}

function freeFields(report: FreeReport) {
  return {
    endpoint: endpointOf(report.endpoint),
    options: optionsOf(report.options),
    bindable: report.bindable,
    errno: report.errno,
    verdict: report.verdict === null ? null : findingOf(report.verdict),
    blockers: report.blockers.map(blockerOf),
    steps: report.steps.map(({ remedy, sentence, target, outcome, why, doubt, onlyIfNeeded }) => ({
      remedy,
      sentence,
      target,
      outcome,
      why,
      doubt,
      onlyIfNeeded,
    })),
    plan: report.plan.map(remedyOf),
    respawn: report.respawn,
    gaps: report.gaps.map(gapOf),
    elapsedMs: report.elapsedMs,
  };
}

/** The document of `wait`: of one endpoint its own fields, of several a list of them. */
export function waitDocument(reports: readonly WaitReport[], interrupted: boolean) {
  const error = interrupted ? brokenByUser : null;
  const [only] = reports;
  if (reports.length === 1 && only !== undefined) return { schema, ...waitFields(only), error };
  return { schema, results: reports.map(waitFields), error };
}

function waitFields(report: WaitReport) {
  return {
    endpoint: endpointOf(report.endpoint),
    options: optionsOf(report.options),
    for: report.for,
    done: report.done,
    failure: report.failure,
    listeners: report.listeners.map(({ pid, command, argv }) => ({ pid, command, argv })),
    addresses: report.addresses.map(addressOf),
    elsewhere: report.elsewhere.map(addressOf),
    verdict: report.verdict === null ? null : findingOf(report.verdict),
    gaps: report.gaps.map(gapOf),
    elapsedMs: report.elapsedMs,
  };
}

/** The document of `reach`. */
export function reachDocument(report: ReachReport) {
  return {
    schema,
    target: targetOf(report.target),
    reachable: report.reachable,
    errno: report.errno,
    verdict: report.verdict === null ? null : findingOf(report.verdict),
    also: report.also.map(findingOf),
    failsAt: report.failsAt,
    addresses: report.addresses.map(reachedOf),
    listeners: report.listeners.map(blockerOf),
    plan: report.plan.map(remedyOf),
    gaps: report.gaps.map(gapOf),
    error: null,
  };
}

function targetOf(target: Target) {
  return target.protocol === 'unix'
    ? { protocol: target.protocol, path: target.path, speaks: target.speaks }
    : { protocol: target.protocol, host: target.host, port: target.port, speaks: target.speaks };
}

function reachedOf(address: ReachedAddress) {
  return {
    address: address.address,
    from: address.from,
    outcome: address.outcome,
    errno: address.errno,
    elapsedMs: address.elapsedMs === null ? null : Math.round(address.elapsedMs * 10) / 10,
    verdict: address.verdict === null ? null : findingOf(address.verdict),
    also: address.also.map(findingOf),
    evidence: address.evidence.map(({ fact, value, source }) => ({ fact, value, source })),
  };
}

/** What every command prints when it could not answer. */
export function errorDocument(kind: 'usage' | 'unsupported' | 'system' | 'internal', message: string) {
  return { schema, error: { kind, message } };
}

/** An endpoint; shared by every document that names one. */
export function endpointOf(endpoint: Endpoint) {
  return endpoint.protocol === 'unix'
    ? { protocol: endpoint.protocol, path: endpoint.path }
    : { protocol: endpoint.protocol, address: endpoint.address, port: endpoint.port };
}

function optionsOf({ reuseAddress, reusePort, v6Only, device }: BindOptions) {
  return { reuseAddress, reusePort, v6Only, device };
}

/** A cause that applies. */
export function findingOf({ cause, sentence, args }: Finding) {
  return { cause, sentence, args };
}

function blockerOf(blocker: Blocker) {
  return {
    protocol: blocker.protocol,
    state: blocker.state,
    local: addressOf(blocker.local),
    remote: blocker.remote === null ? null : addressOf(blocker.remote),
    uid: blocker.uid,
    inode: blocker.inode,
    expiresInMs: blocker.expiresInMs,
    certain: blocker.certain,
    holders: blocker.holders.map(holderOf),
  };
}

function addressOf({ address, port }: Address) {
  return { address, port };
}

function holderOf(holder: BlockerHolder) {
  return {
    pid: holder.pid,
    descriptors: [...holder.descriptors],
    command: holder.command,
    argv: [...holder.argv],
    cwd: holder.cwd,
    user: holder.user,
    startedAt: holder.startedAt,
    parents: holder.parents.map(({ pid, command }) => ({ pid, command })),
    unit: holder.unit,
    container:
      holder.container === null
        ? null
        : { id: holder.container.id, name: holder.container.name, runtime: holder.container.runtime },
    manager:
      holder.manager === null
        ? null
        : {
            kind: holder.manager.kind,
            name: holder.manager.name,
            pid: holder.manager.pid,
            confirmed: holder.manager.confirmed,
          },
  };
}

/** One thing that would help. */
export function remedyOf({ remedy, sentence, command, automatic, args }: Remedy) {
  return { remedy, sentence, command, automatic, args };
}

/** What could not be seen. */
export function gapOf({ what, why, hint }: Gap) {
  return { what, why, hint };
}
