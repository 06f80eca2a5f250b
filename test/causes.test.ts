/**
 * Every variant of every cause is brought about with real processes and sockets, asked about, and compared with what the
 * cause says to expect; then what the answer advises is done. All of it happens in a network and process namespace of its own where this machine allows one.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer, type ListenOptions } from 'node:net';
import { before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { causes } from '../src/causes/bind/index.ts';
import type { Cause, StagedVariant } from '../src/causes/cause.ts';
import { free } from '../src/free.ts';
import { nodeTcpOptions, type Request } from '../src/model/endpoint.ts';
import { type Report, remedyIds } from '../src/model/verdict.ts';
import { os } from '../src/os/index.ts';
import { insideNamespace, raiseLoopback } from '../src/stage/namespace.ts';
import { missing } from '../src/stage/needs.ts';
import { openStage } from '../src/stage/open.ts';
import type { Stage, Staged } from '../src/stage/stage.ts';
import { explain } from '../src/why.ts';
import { runInside } from './inside.ts';

await runInside(import.meta.url, runHere);

function runHere(): void {
  if (insideNamespace()) before(raiseLoopback);
  for (const cause of causes as readonly Cause<string, object>[]) {
    for (const variant of cause.stages) {
      test(`${cause.id}: ${variant.title}`, async (t) => {
        const reason = missing(variant.needs);
        if (reason !== null) return t.skip(reason);
        await check(cause, variant);
      });
    }
  }
}

async function check(cause: Cause<string, object>, variant: StagedVariant): Promise<void> {
  const running = visibleProcesses();
  const stage = openStage();
  try {
    const staged = await variant.stage(stage);
    const report = await ask(staged);
    compare(report, cause, variant, staged);
    // This process has other rights than somebody else who asks.
    if (staged.askAs.length === 0) {
      await compareWithNode(staged.request, report);
      await tryAdvice(staged.request, report);
      await tryFree(staged.request, report);
    }
  } catch (error) {
    // What it failed with matters, not that its ending failed as well.
    await end(stage, running).catch(() => {});
    throw error;
  }
  await end(stage, running);
}

/** In a namespace of our own, these are all that there are; on the machine, those of others come and go. */
function visibleProcesses(): string[] {
  return insideNamespace() ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
}

async function end(stage: Stage, running: readonly string[]): Promise<void> {
  await stage[Symbol.asyncDispose]();
  await gone(running);
}

/** A process that has closed its descriptors still has a moment to go until its parent has seen its end. */
async function gone(running: readonly string[]): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (visibleProcesses().join() !== running.join() && performance.now() < deadline) await setTimeout(5);
  assert.deepEqual(visibleProcesses(), running, 'the stage left processes running');
}

async function ask({ request, askAs }: Staged): Promise<Report> {
  const [file, ...args] = askAs;
  if (file === undefined) return explain(request, os());
  const program = fileURLToPath(new URL('./ask.js', import.meta.url));
  const { stdout } = await promisify(execFile)(file, [...args, process.execPath, program, JSON.stringify(request)], {
    env: { ...process.env, NODE_TEST_CONTEXT: '' },
  });
  return JSON.parse(stdout) as Report;
}

function compare(report: Report, cause: Cause<string, object>, { expect }: StagedVariant, staged: Staged): void {
  const seen = {
    bindable: report.bindable,
    errno: report.errno,
    cause: report.verdict?.cause ?? null,
    remedies: report.plan.map(({ remedy }) => remedy),
    holders: [...new Set(report.blockers.flatMap(({ holders }) => holders.map(({ pid }) => pid)))].sort(
      (a, b) => a - b,
    ),
  };
  const expected = {
    bindable: expect.bindable,
    errno: expect.errno,
    cause: expect.cause === undefined ? cause.id : expect.cause,
    remedies: [...expect.remedies],
    holders: [...staged.holders],
  };
  assert.deepEqual(seen, expected, JSON.stringify(report, null, 2));
  const also = report.also.map((finding) => finding.cause);
  if (expect.also !== undefined) assert.deepEqual(also.sort(), [...expect.also].sort());
  for (const { sentence, args } of [...(report.verdict === null ? [] : [report.verdict]), ...report.also]) {
    assert.match(sentence, /^\S.*[^.\s]$/);
    assert.doesNotMatch(sentence, /undefined|null|NaN|\[object/);
    assert.deepEqual(JSON.parse(JSON.stringify(args)), args, 'the arguments are plain data');
  }
  for (const { remedy, sentence, command } of report.plan) {
    assert.ok(remedyIds.includes(remedy));
    assert.match(sentence, /^\S.*[^.\s]$/);
    assert.doesNotMatch(`${sentence} ${command}`, /undefined|NaN|\[object/);
  }
  if (process.env['REBIND_SHOW'] === '1') {
    process.stderr.write(`\n${cause.id}: ${staged.description}\n  ${report.verdict?.sentence}\n`);
    for (const { sentence } of report.also) process.stderr.write(`  also: ${sentence}\n`);
    for (const { remedy, sentence, command } of report.plan)
      process.stderr.write(`  - ${remedy}: ${sentence}  [${command}]\n`);
    for (const { what, why } of report.gaps) process.stderr.write(`  gap: ${what} (${why})\n`);
  }
}

/** Whatever rebind says, a real Node server must meet the same. */
async function compareWithNode({ endpoint, options }: Request, report: Report): Promise<void> {
  const same = JSON.stringify(options) === JSON.stringify(nodeTcpOptions);
  if (endpoint.protocol !== 'tcp' || !same || endpoint.port === 0) return;
  const errno = await listenOnce({ port: endpoint.port, host: endpoint.address });
  assert.equal(errno, report.errno, 'a Node server meets something else');
}

/** What somebody could do at once, without ending anything, must really work. */
async function tryAdvice({ endpoint }: Request, { bindable, plan }: Report): Promise<void> {
  if (endpoint.protocol !== 'tcp' || bindable === true) return;
  const { port, address: host } = endpoint;
  for (const { remedy, args } of plan) {
    if (remedy === 'use-address' && typeof args['address'] === 'string')
      assert.equal(await listenOnce({ port, host: args['address'] }), null, `advised to listen on ${args['address']}`);
    if (remedy === 'set-option' && args['option'] === 'IPV6_V6ONLY')
      assert.equal(await listenOnce({ port, host, ipv6Only: true }), null, 'advised to listen on IPv6 only');
    if (remedy === 'set-option' && args['option'] === 'SO_REUSEADDR')
      // A Node server sets it.
      assert.equal(
        (await listenOnce({ port, host })) === null,
        args['helpsNow'],
        'SO_REUSEADDR does not do what is said',
      );
  }
}

/** Where an answer names `rebind free`, it must help: a Node server listens afterwards. */
async function tryFree({ endpoint, options }: Request, { plan }: Report): Promise<void> {
  if (!plan.some(({ command }) => command?.startsWith('rebind free') === true && !command.endsWith('--force'))) return;
  const report = await free(endpoint, { ...options, yes: true, graceMs: 5_000 });
  assert.equal(report.bindable, true, JSON.stringify(report, null, 2));
  if (endpoint.protocol === 'udp') return;
  const same = endpoint.protocol === 'unix' ? { path: endpoint.path } : { port: endpoint.port, host: endpoint.address };
  assert.equal(await listenOnce(same), null, 'a Node server cannot listen although rebind says that the port is free');
}

/** What a Node server meets that listens there: an errno, or null. */
async function listenOnce(options: ListenOptions): Promise<string | null> {
  const server = createServer();
  return new Promise<string | null>((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    server.listen(options, () => server.close(() => resolve(null)));
  });
}
