import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type StopContext, stopProcesses } from '../../src/act/stop.ts';
import { sameProject } from '../../src/ask/doubts.ts';
import { os as thisOs } from '../../src/os/index.ts';
import type { Os } from '../../src/os/os.ts';
import type { ProcessHandle, SignalOutcome } from '../../src/os/processes.ts';
import { holder } from '../model/facts.ts';

/** A process that lives for ever and answers signals as it is told. */
function stubborn(outcome: SignalOutcome, signals: string[]): ProcessHandle {
  return {
    identity: { pid: 41, started: '1' },
    isAlive: () => true,
    signal: (signal) => {
      signals.push(signal);
      return outcome;
    },
    takeDescriptor: () => ({ fd: null, why: 'EPERM' }),
    close: () => {},
    [Symbol.dispose]: () => {},
  };
}

function context(handle: ProcessHandle, over: Partial<StopContext> = {}): StopContext {
  const real = thisOs();
  const os = {
    ...real,
    processes: { open: () => handle },
    sockets: real.sockets,
    events: real.events,
  } as unknown as Os;
  return {
    os,
    port: null,
    graceMs: 0,
    force: false,
    withoutAsking: false,
    uid: process.getuid?.() ?? 0,
    signal: undefined,
    isFree: () => false,
    stillHolding: (holders) => holders,
    onWaiting: () => {},
    ...over,
  };
}

describe('stopping a process', () => {
  test('that this user may not signal', async () => {
    const signals: string[] = [];
    const results = await stopProcesses([holder({ started: 'a' })], context(stubborn('denied', signals)));
    assert.deepEqual(results.get(41), { outcome: 'failed', why: 'EPERM: this user may not signal a process of ann' });
    assert.deepEqual(signals, ['SIGTERM']);
  });

  test('that does not end: SIGKILL only with force, and only when it still has the port', async () => {
    const polite: string[] = [];
    await stopProcesses([holder()], context(stubborn('sent', polite)));
    assert.deepEqual(polite, ['SIGTERM']);
    const moved: string[] = [];
    let looks = 0;
    const results = await stopProcesses(
      [holder()],
      context(stubborn('sent', moved), { force: true, stillHolding: (holders) => (looks++ === 0 ? holders : []) }),
    );
    assert.deepEqual(moved, ['SIGTERM']);
    assert.equal(results.get(41)?.outcome, 'failed');
  });

  test('that has let go of the port by now is not asked at all', async () => {
    const signals: string[] = [];
    const gone = context(stubborn('sent', signals), { force: true, stillHolding: () => [] });
    const results = await stopProcesses([holder()], gone);
    assert.deepEqual(signals, []);
    assert.deepEqual(results.get(41), {
      outcome: 'skipped',
      why: 'it released the port and is still running',
    });
  });

  test('that is stopped is continued, so that it can hear', async () => {
    const signals: string[] = [];
    await stopProcesses([holder({ processState: 'T' })], context(stubborn('sent', signals)));
    assert.deepEqual(signals, ['SIGTERM', 'SIGCONT']);
  });
});

describe('one project', () => {
  for (const [other, mine, same] of [
    ['/srv/shop', '/srv/shop', true],
    ['/srv/shop/api', '/srv/shop', true],
    ['/srv/shop', '/srv/shop/api', false],
    ['/srv/shop2', '/srv/shop', false],
    ['/srv/shop', '/', false],
    ['/', '/', true],
  ] as const) {
    test(`${other} seen from ${mine} is ${same ? 'the same' : 'another'}`, () => {
      assert.equal(sameProject(other, mine), same);
    });
  }

  test('two folders of one repository', () => {
    assert.equal(sameProject(`${process.cwd()}/src`, `${process.cwd()}/test`), true);
  });
});
