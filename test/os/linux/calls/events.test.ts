import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { events } from '../../../../src/os/linux/calls/events.ts';
import { checkedByStartTime, processes } from '../../../../src/os/linux/calls/pidfd.ts';
import { sockets } from '../../../../src/os/linux/calls/socket.ts';
import { openDescriptors } from '../open-descriptors.ts';

const children: ChildProcess[] = [];

function sleeper(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  return child as ChildProcess & { pid: number };
}

const nothing = { timeoutMs: 50 };

describe('waiting for events', () => {
  let before: string[];
  beforeEach(async () => {
    await events.wait({ timeoutMs: 0 });
    sockets.close(sockets.open('tcp', 4));
    before = openDescriptors();
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    assert.deepEqual(
      openDescriptors().filter((each) => !each.includes('pipe:')),
      before.filter((each) => !each.includes('pipe:')),
    );
  });

  test('the end of a process ends the wait, and tells which', async () => {
    const [first, second] = [sleeper(), sleeper()];
    using one = processes.open(processes.identify(first.pid) ?? assert.fail()) ?? assert.fail();
    using other = processes.open(processes.identify(second.pid) ?? assert.fail()) ?? assert.fail();
    const waiting = events.wait({ processes: [one, other], timeoutMs: 10_000 });
    second.kill('SIGKILL');
    assert.deepEqual(await waiting, { kind: 'exit', process: other });
  });

  test('a process that has ended already ends the wait at once', async () => {
    const child = sleeper();
    using handle = processes.open(processes.identify(child.pid) ?? assert.fail()) ?? assert.fail();
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.deepEqual(await events.wait({ processes: [handle], timeoutMs: 10_000 }), { kind: 'exit', process: handle });
  });

  test('a process without a pidfd is looked at', async () => {
    const child = sleeper();
    const handle = checkedByStartTime(processes.identify(child.pid) ?? assert.fail());
    const waiting = events.wait({ processes: [handle], timeoutMs: 10_000 });
    child.kill('SIGKILL');
    assert.deepEqual(await waiting, { kind: 'exit', process: handle });
  });

  test('two waits on one process both end', async () => {
    const child = sleeper();
    using handle = processes.open(processes.identify(child.pid) ?? assert.fail()) ?? assert.fail();
    const both = Promise.all([
      events.wait({ processes: [handle], timeoutMs: 10_000 }),
      events.wait({ processes: [handle], timeoutMs: 10_000 }),
    ]);
    child.kill('SIGKILL');
    assert.deepEqual(await both, [
      { kind: 'exit', process: handle },
      { kind: 'exit', process: handle },
    ]);
  });

  for (const host of ['127.0.0.1', '::1']) {
    test(`the end of a listener on ${host} ends the wait for its port, and only for its port`, async () => {
      const server = createServer().listen(0, host);
      const other = createServer().listen(0, host);
      await Promise.all([once(server, 'listening'), once(other, 'listening')]);
      const { port } = server.address() as { port: number };
      const waiting = events.wait({ port: { protocol: 'tcp', port }, timeoutMs: 10_000 });
      let ended = false;
      void waiting.then(() => {
        ended = true;
      });
      other.close();
      await once(other, 'close');
      assert.deepEqual(await events.wait(nothing), { kind: 'timeout' });
      assert.equal(ended, false);
      server.close();
      assert.deepEqual(await waiting, { kind: 'destroyed' });
    });
  }

  test('the end of a UDP socket ends the wait for its port', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const waiting = events.wait({ port: { protocol: 'udp', port: socket.address().port }, timeoutMs: 10_000 });
    socket.close();
    assert.deepEqual(await waiting, { kind: 'destroyed' });
  });

  test('a descriptor with input ends the wait', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const fd = sockets.open('tcp', 4);
    sockets.bind(fd, { protocol: 'tcp', address: '127.0.0.1', port: 0 });
    sockets.listen(fd, 1);
    const bound = sockets.address(fd);
    assert.ok(bound.protocol !== 'unix');
    const waiting = events.wait({ descriptors: [fd], timeoutMs: 10_000 });
    const client = connect(bound.port, '127.0.0.1');
    assert.deepEqual(await waiting, { kind: 'readable', descriptor: fd });
    client.destroy();
    sockets.close(fd);
    await new Promise((resolve) => server.close(resolve));
  });

  test('what is ready when everything is watched ends the wait; the question is asked once', async () => {
    let asked = 0;
    const ready = (): boolean => {
      asked++;
      return true;
    };
    assert.deepEqual(await events.wait({ timeoutMs: null, ready, port: { protocol: 'tcp', port: 1 } }), {
      kind: 'ready',
    });
    assert.equal(asked, 1);
  });

  test('a question that throws rejects the wait', async () => {
    const ready = (): boolean => {
      throw new RangeError('no');
    };
    await assert.rejects(events.wait({ timeoutMs: null, ready, port: { protocol: 'tcp', port: 1 } }), RangeError);
  });

  test('an abort rejects with its reason, before and during the wait', async () => {
    const reason = new Error('enough');
    await assert.rejects(events.wait({ timeoutMs: null, signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const waiting = events.wait({ port: { protocol: 'tcp', port: 1 }, timeoutMs: null, signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(waiting, reason);
  });

  test('a process that leaves in the middle of a wait leaves at once', async () => {
    const url = new URL('../../../../src/os/linux/calls/events.js', import.meta.url).href;
    const script = `import { events } from ${JSON.stringify(url)};
      events.wait({ port: { protocol: 'tcp', port: 1 }, timeoutMs: null });
      setTimeout(() => process.exit(7), 10);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    assert.deepEqual(await once(child, 'exit'), [7, null]);
    clearTimeout(timer);
  });

  test('waiting costs no wake-up, also while other sockets come and go', async () => {
    const busy = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await once(busy, 'listening');
    let going = true;
    const visit = (): void => {
      if (going)
        connect((busy.address() as { port: number }).port, '127.0.0.1')
          .resume()
          .on('close', () => setTimeout(visit, 5));
    };
    visit();
    const url = new URL('../../../../src/os/linux/calls/events.js', import.meta.url).href;
    // Turns of the event loop, and not context switches: those also come from other threads and from a busy machine.
    // What the engine does in the background can turn it too, now and then, so the quietest of three counts.
    const script = `import { events } from ${JSON.stringify(url)};
      const turns = async (wait) => {
        const before = performance.nodeTiming.uvMetricsInfo.loopCount;
        await wait();
        return performance.nodeTiming.uvMetricsInfo.loopCount - before;
      };
      const wait = () => events.wait({ port: { protocol: 'tcp', port: 1 }, timeoutMs: 1000 });
      const poll = async () => {
        for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 100));
      };
      await events.wait({ port: { protocol: 'tcp', port: 1 }, timeoutMs: 100 });
      const polled = await turns(poll);
      const waited = Math.min(await turns(wait), await turns(wait), await turns(wait));
      console.log(JSON.stringify({ polled, waited }));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [[line]] = (await Promise.all([once(child.stdout, 'data'), once(child, 'close')])) as [[Buffer], unknown];
    going = false;
    busy.close();
    await once(busy, 'close');
    const { polled, waited } = JSON.parse(line.toString());
    assert.ok(polled >= 10, `a loop that looks ten times a second was seen ${polled} times`);
    assert.ok(waited <= 2, `${waited} wake-ups in a second`);
  });
});
