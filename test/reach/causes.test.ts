/**
 * Every cause of connecting on the real system: it is staged, `rebind reach` is run where the client is, as the user who staged it and
 * as an ordinary user, and its answer is compared with what the cause promises. In a namespace of its own, several at a time.
 * `REBIND_CAUSE` names the causes to try, `REBIND_SHOW=1` prints the answers.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { ConnectVariant } from '../../src/causes/connect/form.ts';
import { causes } from '../../src/causes/connect/index.ts';
import { openConnectStage } from '../../src/stage/connect/open.ts';
import type { ConnectStaged } from '../../src/stage/connect/stage.ts';
import { hasEveryUser, insideNamespace, raiseLoopback } from '../../src/stage/namespace.ts';
import { missing } from '../../src/stage/needs.ts';
import { runInside } from '../inside.ts';
import { type Answer, reach, shown } from './answers.ts';

/** Most of the time they wait for silence. */
const atOnce = 4;
const patienceMs = 60_000;

await runInside(import.meta.url, runHere);

function runHere(): void {
  if (insideNamespace()) before(raiseLoopback);
  const wanted = process.env['REBIND_CAUSE']?.split(',');
  const running = visibleProcesses();
  const variants = causes
    .filter(({ id }) => wanted === undefined || wanted.includes(id))
    .flatMap(({ id, stages }) => (stages as readonly ConnectVariant[]).map((variant) => ({ id, variant })));
  const stage = (those: typeof variants): void => {
    for (const { id, variant } of those)
      test(`${id}: ${variant.title}`, { timeout: patienceMs }, async (t) => {
        const reason = missing(variant.needs);
        if (reason !== null) return t.skip(reason);
        await check(id, variant);
      });
  };
  describe('causes of connecting', { concurrency: atOnce }, () =>
    stage(variants.filter(({ variant }) => !variant.alone)),
  );
  describe('causes of connecting, one at a time', () => stage(variants.filter(({ variant }) => variant.alone)));
  after(() => allGone(running));
}

async function check(id: string, variant: ConnectVariant): Promise<void> {
  const stage = openConnectStage();
  try {
    const staged = await variant.stage(stage);
    compare(await reach(staged), id, variant, staged, false);
    if (staged.asUser.length > 0 && variant.expect.asUser !== null) {
      await staged.again();
      compare(await reach(staged, { asUser: true }), id, variant, staged, true);
    }
  } catch (error) {
    // What it failed with matters, not that its ending failed as well.
    await Promise.resolve(stage[Symbol.asyncDispose]()).catch(() => {});
    throw error;
  }
  await stage[Symbol.asyncDispose]();
}

function compare(answer: Answer, id: string, { expect }: ConnectVariant, staged: ConnectStaged, asUser: boolean): void {
  const { json, text, status } = answer;
  const detail = `${asUser ? 'as an ordinary user: ' : ''}${staged.description}\n${text}\n${JSON.stringify(json, null, 1)}`;
  if (process.env['REBIND_SHOW'] === '1') process.stderr.write(`\n${id}${asUser ? ' (user)' : ''}: ${detail}\n`);
  const whole = { reachable: expect.reachable, cause: expect.cause === undefined ? id : expect.cause };
  const limited = asUser && expect.asUser != null ? { ...whole, ...expect.asUser } : whole;
  const seen = { reachable: json.reachable, cause: json.verdict?.cause ?? null };
  // In a user namespace the ordinary user is the same one, who sees as much as whoever staged it.
  const mayBeWhole = asUser && !hasEveryUser();
  if (!(mayBeWhole && seen.cause === whole.cause && seen.reachable === whole.reachable))
    assert.deepEqual(seen, limited, detail);
  assert.equal(status, json.reachable === null ? 3 : json.reachable ? 0 : 1, detail);
  const full = seen.cause === whole.cause;
  if (full && expect.errno !== undefined) assert.equal(json.errno, expect.errno, detail);
  if (full && !asUser) {
    if (expect.says !== undefined) assert.match(json.verdict?.sentence ?? '', expect.says, detail);
    if (expect.remedies !== undefined)
      assert.deepEqual(
        json.plan.map(({ remedy }) => remedy),
        expect.remedies,
        detail,
      );
    if (expect.also !== undefined)
      assert.deepEqual(json.also.map(({ cause }) => cause).sort(), [...expect.also].sort(), detail);
    const pids = new Set(json.listeners.flatMap(({ holders }) => holders.map(({ pid }) => pid)));
    for (const pid of staged.holders) assert.ok(pids.has(pid), `process ${pid} is not named\n${detail}`);
  }
  const sentence = json.verdict?.sentence;
  for (const one of [json.verdict, ...json.also].filter((found) => found !== null)) {
    assert.match(one.sentence, /^\S.*[^.\s]$/, detail);
    assert.doesNotMatch(one.sentence, /undefined|null|NaN|\[object/, detail);
  }
  for (const { sentence: step, command } of json.plan) {
    assert.match(step, /^\S.*[^.\s]$/, detail);
    assert.doesNotMatch(`${step} ${command}`, /undefined|NaN|\[object/, detail);
  }
  if (sentence !== undefined)
    assert.ok(shown(text).includes(shown(sentence)), `the text lacks the sentence\n${detail}`);
}

/** In a namespace of our own, these are all that there are; on the machine, those of others come and go. */
function visibleProcesses(): string[] {
  return insideNamespace() ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
}

/** A process that has closed its descriptors still has a moment to go until its parent has seen its end. */
async function allGone(running: readonly string[]): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (visibleProcesses().join() !== running.join() && performance.now() < deadline) await setTimeout(5);
  assert.deepEqual(visibleProcesses(), running, 'the stages left processes running');
}
