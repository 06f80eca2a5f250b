/**
 * What is seen of the processes that have a listener, and of listeners in other network namespaces.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HolderCondition } from '../../../../src/model/reach/evidence.ts';
import { openReaching } from '../../../../src/os/linux/reaching.ts';
import { namespaceCommand, namespaceEnvironment } from '../../../../src/stage/namespace.ts';

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Runs a program of Node that prints its port. */
async function started(source: string, prefix: readonly string[] = []): Promise<{ child: ChildProcess; port: number }> {
  const [command = '', ...args] = [...prefix, process.execPath, '-e', source];
  const child = spawn(command, args, { env: namespaceEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, port: Number(line) };
}

const server = (rest = ''): string =>
  `const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); ${rest} });`;

/** Python serves one client after the other, as many simple servers do. */
const oneAtATime = `
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(5)
print(s.getsockname()[1]); sys.stdout.flush()
while True:
    c, _ = s.accept(); c.recv(100)
`;

async function conditionOf(port: number, lookMs = 100): Promise<HolderCondition> {
  const reaching = openReaching();
  const to = { protocol: 'tcp', address: '127.0.0.1', port } as const;
  const inode = reaching.before(to, []).lookup?.found?.inode ?? 0;
  const [all] = await reaching.conditions([inode], port, lookMs, []);
  const [condition] = all?.holders ?? [];
  assert.ok(condition !== undefined, 'nobody has the listener');
  return condition;
}

async function until(holds: () => boolean): Promise<void> {
  for (let count = 0; !holds(); count++) {
    assert.ok(count < 500, 'it did not come to it');
    await sleep(10);
  }
}

describe('the process that has a listener', () => {
  test('waits for connections, and has a number of descriptors', async () => {
    const { child, port } = await started(server());
    // libuv begins to watch the listener after its callback.
    const { holder, certain, waits, descriptors, busy, serves } = await conditionOf(port);
    assert.deepEqual([holder.pid, certain, waits, serves], [child.pid, true, true, null]);
    assert.ok((descriptors?.open ?? 0) > 3 && (descriptors?.limit ?? 0) >= (descriptors?.open ?? 0));
    assert.ok((busy ?? 1) < 0.5, `it sleeps: ${busy}`);
  });

  test('is stopped', async () => {
    const { child, port } = await started(server());
    child.kill('SIGSTOP');
    await until(() => / T /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1')));
    assert.equal((await conditionOf(port, 0)).holder.processState, 'T');
  });

  test('is in a loop that never ends', async () => {
    const { port } = await started(server('for (;;);'));
    const { busy } = await conditionOf(port, 250);
    // It runs, or waits for a processor that another one has.
    assert.ok((busy ?? 0) > 0.8, `the part of the time: ${busy}`);
  });

  test('is kept busy by one client', async () => {
    const child = spawn('python3', ['-c', oneAtATime], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(line);
    const client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    try {
      let condition = await conditionOf(port, 1);
      for (let count = 0; condition.serves === null && count < 100; count++) condition = await conditionOf(port, 20);
      assert.deepEqual(condition.serves?.peer, { address: '127.0.0.1', port: client.localPort });
      assert.deepEqual([condition.serves?.call, condition.waits], ['read', false]);
    } finally {
      client.destroy();
    }
  });
});

const prefix = namespaceCommand();
test('a listener in another network namespace is found by a process in there, and ours is not among them', {
  skip: prefix === null && 'no namespace can be made here',
}, async () => {
  const here = await started(server());
  // lo is down in there, and bind(2) does not mind.
  const { port } = await started(server(), prefix ?? []);
  const look = (wanted: number): ReturnType<ReturnType<typeof openReaching>['elsewhere']> =>
    openReaching().elsewhere({ protocol: 'tcp', address: '127.0.0.1', port: wanted }, []);
  const found = (look(port) ?? []).find(({ local }) => local.port === port && local.address === '127.0.0.1');
  assert.ok(found !== undefined);
  assert.ok(found.process.pid > 0 && found.inode > 0);
  const own = look(here.port) ?? [];
  assert.ok(!own.some(({ process: { pid } }) => pid === here.child.pid));
});
