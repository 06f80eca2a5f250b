/**
 * why, ls, free, wait, listen and hold on a Mac that is made up: every decision that rebind takes there, and every call by which it does so.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Io } from '../../../src/cli/io.ts';
import { readLine, run } from '../../../src/cli/run.ts';
import { free, wait, why } from '../../../src/index.ts';
import { nodeTcpOptions } from '../../../src/model/endpoint.ts';
import { useOs } from '../../../src/os/index.ts';
import { FakeMac, type FakeOptions } from './fake-mac.ts';

let undo = (): void => {};
afterEach(() => undo());

/** A Mac on which this process runs. */
function mac(options: FakeOptions = {}): FakeMac {
  const made = new FakeMac(options);
  undo = useOs(made.os());
  return made;
}

/** A server of the user who asks, started in a terminal. */
function server(on: FakeMac, at = '::', port = 3000, over: Partial<Parameters<FakeMac['process']>[0]> = {}) {
  const one = on.process({
    pid: 4_242,
    parent: process.ppid,
    command: 'node',
    argv: ['node', 'server.js'],
    terminal: 0x1000002,
    ...over,
  });
  return { process: one, socket: on.socket(one, { at, port }) };
}

describe('why', () => {
  test('names the process, its arguments, directory and start', async () => {
    const on = mac();
    server(on);
    const report = await why(3000);
    assert.deepEqual([report.bindable, report.errno, report.verdict?.cause], [false, 'EADDRINUSE', 'other-listener']);
    const [holder] = report.blockers[0]?.holders ?? [];
    assert.deepEqual(
      [holder?.pid, holder?.argv, holder?.cwd, holder?.user],
      [4_242, ['node', 'server.js'], '/Users/ann/shop', 'ann'],
    );
    assert.equal(report.blockers[0]?.certain, true);
  });

  test('a server on another address blocks nothing', async () => {
    const on = mac();
    server(on, '0.0.0.0');
    assert.equal((await why('127.0.0.1:3000')).bindable, true);
    assert.equal((await why('[::]:3000')).bindable, true);
    assert.equal((await why('0.0.0.0:3000')).bindable, false);
  });

  test('TIME_WAIT blocks no server that sets SO_REUSEADDR, and is waited out by one that does not', async () => {
    const on = mac();
    on.socket(null, { at: '127.0.0.1', port: 3000, from: '127.0.0.1:50000', state: 'TIME_WAIT', leftMs: 12_000 });
    assert.equal((await why('127.0.0.1:3000')).bindable, true);
    const report = await why('127.0.0.1:3000', { reuseAddress: false });
    assert.deepEqual([report.verdict?.cause, report.blockers[0]?.expiresInMs], ['time-wait', 12_000]);
    assert.ok(!report.plan.some(({ remedy }) => remedy === 'remove-leftovers'));
  });

  test('without koffi the programs of the system answer, and that is said', () => {
    const on = new FakeMac({ native: false, run: programs });
    const endpoint = { protocol: 'tcp', address: '127.0.0.1', port: 3000 } as const;
    const { sockets, holders, gaps, unseen } = on.os().readFacts({ endpoint, options: nodeTcpOptions });
    assert.deepEqual(
      sockets.map((one) => one.protocol !== 'unix' && [one.state, one.uid, one.reuseAddress, one.darwin?.lastPid]),
      [['LISTEN', 501, true, 4_242]],
    );
    assert.deepEqual(
      [...holders.values()].flat().map(({ pid, argv, descriptors }) => [pid, argv, descriptors]),
      [[4_242, ['/usr/local/bin/node', 'server.js'], [20]]],
    );
    assert.equal(unseen.processes, true);
    assert.match(gaps[0]?.what ?? '', /netstat, lsof and ps: cannot load koffi/);
  });

  test('a structure of another size is a gap and no guess', async () => {
    // A release whose kernel still gives the shorter structure of macOS 12.
    const older = new FakeMac({ kernel: '21.6.0', run: programs });
    server(older, '127.0.0.1');
    const { openDarwin } = await import('../../../src/os/darwin/index.ts');
    const { machine } = await import('../../../src/os/darwin/mac.ts');
    undo = useOs(
      openDarwin(
        machine(
          '25.0.0',
          () => older.lib(),
          programs as never,
          () => 501,
        ),
      ),
    );
    const report = await why('127.0.0.1:3000');
    assert.equal(report.blockers[0]?.holders[0]?.pid, 4_242);
    assert.match(report.gaps.map(({ what }) => what).join(), /xsocket_n has 104 bytes/);
  });
});

describe('free', () => {
  test('asks the process by its audit token, and is done when the port can be bound', async () => {
    const on = mac();
    server(on);
    const result = await free(3000, { yes: true });
    assert.deepEqual([result.bindable, result.steps.map(({ outcome }) => outcome)], [true, ['done']]);
    assert.deepEqual(on.signals, [{ pid: 4_242, signal: 15, by: 'token' }]);
  });

  test('before macOS 14.2 it looks at the identity and signals by the number', async () => {
    const on = mac({ kernel: '23.1.0' });
    server(on);
    assert.equal((await free(3000, { yes: true })).bindable, true);
    assert.deepEqual(on.signals, [{ pid: 4_242, signal: 15, by: 'pid' }]);
  });

  for (const kernel of ['24.5.0', '22.6.0'])
    test(`a number that belongs to another process by now gets no signal (Darwin ${kernel})`, async () => {
      const on = mac({ kernel });
      const { process: one } = server(on);
      // Between the look and the signal: the process exits, and its number is given away.
      on.onCall = (name) => {
        if (name !== 'kqueue') return;
        on.onCall = () => {};
        on.exit(one.pid);
        on.process({ pid: one.pid, parent: process.ppid, command: 'psql' });
      };
      const result = await free(3000, { yes: true });
      assert.equal(result.bindable, true);
      assert.deepEqual(on.signals, []);
    });

  test('a process that runs another program since is asked all the same: it is the same process', async () => {
    const on = mac();
    const { process: one } = server(on);
    let calls = 0;
    on.onCall = (name) => {
      // exec(2) between reading the version and using it.
      if (name === 'proc_signal_with_audittoken' && calls++ === 0) one.version++;
    };
    assert.equal((await free(3000, { yes: true })).bindable, true);
    assert.deepEqual(on.signals.length, 1);
  });

  test('SIGKILL follows only with --force', async () => {
    const on = mac();
    server(on, '::', 3000, { onSignal: () => {} });
    const left = await free(3000, { yes: true, graceMs: 50 });
    assert.deepEqual([left.bindable, left.steps[0]?.outcome], [false, 'failed']);
    assert.equal((await free(3000, { yes: true, graceMs: 50, force: true })).bindable, true);
    assert.deepEqual(
      on.signals.map(({ signal }) => signal),
      [15, 15, 9],
    );
  });

  test('a suspended process is continued, because it takes no signal before', async () => {
    const on = mac();
    const { process: one } = server(on);
    one.isStopped = true;
    await free(3000, { yes: true });
    assert.equal(on.signals[0]?.signal, 15);
  });

  test('a server that closes its listener and goes on draining frees the port', async () => {
    const on = mac();
    const { socket } = server(on, '::', 3000, {
      onSignal: (_signal, at) => {
        setTimeout(() => {
          at.sockets = at.sockets.filter((one) => one !== socket);
          at.descriptors.get(4_242)?.clear();
        }, 30);
      },
    });
    const result = await free(3000, { yes: true, graceMs: 5_000 });
    assert.equal(result.bindable, true);
    assert.match(result.steps[0]?.why ?? '', /still running/);
  });

  test("another user's process gets no signal", async () => {
    const on = mac();
    server(on, '127.0.0.1', 3000, { uid: 502 });
    const result = await free('127.0.0.1:3000', { yes: true });
    assert.equal(result.bindable, false);
    assert.deepEqual(on.signals, []);
  });
});

test('wait ends when the process exits', async () => {
  const on = mac();
  server(on);
  setTimeout(() => on.exit(4_242), 20);
  const result = await wait(3000, { timeoutMs: 10_000 });
  assert.equal(result.done, true);
});

describe('the command', () => {
  test('ls lists what listens, with its process', async () => {
    const on = mac();
    server(on);
    const { code, text } = await command('ls');
    assert.equal(code, 0);
    assert.match(text, /3000.*node/);
  });

  test('hold and take-over are not offered, with exit status 4', async () => {
    const on = mac();
    server(on);
    const held = await command('hold', '3001', '--', 'true');
    assert.equal(held.code, 4);
    assert.match(
      held.text,
      /^rebind: Cannot pass sockets to another process on macOS yet: hold and take-over have not been run there/,
    );
  });
});

async function command(...words: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const stream = { write: (part: string) => (text += part) };
  const signal = new AbortController().signal;
  const io: Io = { stdout: stream, stderr: stream, isInteractive: false, env: {}, signal, now: () => Date.now() };
  const code = await run(readLine(words), io);
  return { code, text };
}

/** What the programs of macOS 15 print of a server on 127.0.0.1:3000. */
function programs(program: string, args: readonly string[]): { text: string } {
  if (program === '/usr/sbin/netstat')
    return {
      text: args.includes('tcp')
        ? `Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)      rxbytes      txbytes  rhiwat  shiwat    pid   epid state  options           gencnt    flags   flags1 usecnt rtncnt fltrs
tcp4       0      0  127.0.0.1.3000         *.*                    LISTEN             0            0  131072  131072   4242      0 00100 00000006 0000000000012345 00000000 00000900      1      0 000000
`
        : '',
    };
  if (program === '/usr/sbin/lsof')
    return {
      text: args.some((word) => word.startsWith('-iTCP'))
        ? 'p4242\ncnode\nR1\nu501\nf20\ntIPv4\nPTCP\nn127.0.0.1:3000\nTST=LISTEN\n'
        : '',
    };
  const text = args.some((word) => word.endsWith('comm=')) ? '/usr/local/bin/node' : '/usr/local/bin/node server.js';
  return {
    text: `    1     0     1     0 Ss   Mon Nov 23 08:00:00 2026 /sbin/launchd\n 4242     1  4242   501 S+   Thu Nov 26 00:40:37 2026 ${text}\n`,
  };
}
