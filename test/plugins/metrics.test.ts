/** What a registry is told of servers: open and waiting connections while they serve, and how connections ended. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import client from 'prom-client';
import { type Meter, type ObservableResult, openTelemetry, prometheus } from '../../src/plugins/metrics.ts';
import { close } from '../../src/server/close.ts';
import { listen } from '../../src/server/listen.ts';

test('prom-client: open connections by server, endings and durations', async () => {
  const registry = new client.Registry();
  const stop = prometheus(client, [registry]);
  const server = net.createServer((socket) => socket.on('error', () => {}));
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  const peers = [net.connect(port, '127.0.0.1'), net.connect(port, '127.0.0.1')];
  for (const peer of peers) peer.on('error', () => {});
  await Promise.all(peers.map((peer) => once(peer, 'connect')));
  await sleep(50);
  const text = await registry.metrics();
  assert.match(text, new RegExp(`^rebind_active_connections\\{listen="127\\.0\\.0\\.1:${port}"\\} 2$`, 'm'));
  peers[0]?.destroy();
  await close(server, { graceMs: 200, idleMs: 10, firstByteMs: 10 });
  peers[1]?.destroy();
  const after = await registry.metrics();
  assert.doesNotMatch(after, /^rebind_active_connections\{/m);
  const ended = [...after.matchAll(/^rebind_close_connections_total\{how="\w+"\} (\d+)$/gm)].map(([, count]) =>
    Number(count),
  );
  assert.equal(ended.length, 3);
  assert.match(after, /^rebind_close_duration_seconds_count 1$/m);
  stop();
});

test('OpenTelemetry: the same by its instruments', async () => {
  const callbacks = new Map<string, (result: ObservableResult) => Promise<void>>();
  const told: string[] = [];
  const meter: Meter = {
    createObservableGauge: (name) => ({
      addCallback: (callback) => callbacks.set(name, callback),
      removeCallback: () => callbacks.delete(name),
    }),
    createCounter: (name) => ({ add: (value, attributes) => told.push(`${name} ${attributes?.['how']} ${value}`) }),
    createHistogram: (name) => ({ record: (value) => told.push(`${name} ${value > 0}`) }),
  };
  const stop = openTelemetry(meter);
  const server = net.createServer();
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  const observed: unknown[] = [];
  await callbacks.get('rebind.active_connections')?.({ observe: (...values) => observed.push(values) });
  assert.deepEqual(observed, [[0, { 'server.listen': `127.0.0.1:${port}` }]]);
  await close(server, { idleMs: 10 });
  assert.deepEqual(told, [
    'rebind.close.connections finished 0',
    'rebind.close.connections idle 0',
    'rebind.close.connections killed 0',
    'rebind.close.duration true',
  ]);
  stop();
  assert.equal(callbacks.size, 0);
});
