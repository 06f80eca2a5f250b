/** What needs settings of the network: leftovers that end in three seconds instead of sixty, and a single automatic port. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasEveryUser, namespaceCommand, namespaceEnvironment } from '../../src/stage/namespace.ts';
import { openWorld } from './world.ts';

const prefix = namespaceCommand();
const skip =
  prefix === null
    ? 'this machine does not let this user make namespaces'
    : hasEveryUser()
      ? false
      : 'it gives up rights in a namespace, which needs root';

test('without the right to remove them, leftovers are waited for as long as --timeout permits', { skip }, async () => {
  await using world = openWorld();
  const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { raiseLoopback } from ${at('../../src/stage/namespace.js')};
    import { openStage } from ${at('../../src/stage/open.js')};
    import { rebind } from ${at('./world.js')};
    raiseLoopback();
    const stage = openStage();
    try {
      stage.setting('ipv4.tcp_fin_timeout', '3');
      const port = stage.freePort();
      const server = await stage.actor('server');
      const listener = await server.open();
      await listener.bind('127.0.0.1', port);
      await listener.listen();
      const client = await stage.actor('client');
      await (await client.open()).connect('127.0.0.1', port);
      await listener.accept();
      await server.kill();
      await stage.settled(port, (states) => states.includes('FIN_WAIT2'));
      const before = stage.unprivileged().askAs;
      const impatient = await rebind(['free', '127.0.0.1:' + port], { before });
      const patient = await rebind(['free', '127.0.0.1:' + port, '--timeout', '20s'], { before });
      console.log('result ' + JSON.stringify({ impatient, patient }));
    } finally {
      await stage[Symbol.asyncDispose]();
    }`;
  const running = await world.run(
    [...(prefix ?? []), process.execPath, '--input-type=module', '-e', program],
    /^result .*\n/m,
    { env: namespaceEnvironment() as Record<string, string> },
  );
  const { impatient, patient } = JSON.parse(/^result (.*)$/m.exec(running.printed())?.[1] ?? '');
  assert.equal(impatient.status, 1);
  assert.match(impatient.json.steps[0].why, /longer than a second: give --timeout \d+s/);
  assert.equal(patient.status, 0, JSON.stringify(patient.json));
  assert.equal(patient.json.steps[0].remedy, 'wait');
  assert.equal(patient.json.steps[0].outcome, 'done');
});

test('with --force a client that took the port only meanwhile is not cut', {
  skip: prefix === null ? skip : false,
}, async () => {
  await using world = openWorld();
  const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  // One automatic port: the next client to connect gets the one that was just freed.
  const program = `
    import { raiseLoopback } from ${at('../../src/stage/namespace.js')};
    import { openStage } from ${at('../../src/stage/open.js')};
    import { free } from ${at('../../src/free.js')};
    import { os } from ${at('../../src/os/index.js')};
    raiseLoopback();
    const stage = openStage();
    try {
      const server = await stage.actor('server');
      const listener = await server.open();
      await listener.bind('127.0.0.1', 4000);
      await listener.listen();
      stage.setting('ipv4.ip_local_port_range', '34000 34000');
      const client = await stage.actor('client');
      await (await client.open()).connect('127.0.0.1', 4000);
      let next = null;
      const { sockets } = os();
      const report = await free('127.0.0.1:34000', {
        force: true,
        onProgress: ({ kind }) => {
          if (kind !== 'step' || next !== null) return;
          next = sockets.open('tcp', 4);
          sockets.connect(next, { protocol: 'tcp', address: '127.0.0.1', port: 4000 });
        },
      });
      console.log('result ' + JSON.stringify({ report, port: sockets.address(next).port }));
    } finally {
      await stage[Symbol.asyncDispose]();
    }`;
  const running = await world.run(
    [...(prefix ?? []), process.execPath, '--input-type=module', '-e', program],
    /^result .*\n/m,
    { env: namespaceEnvironment() as Record<string, string> },
  );
  const { report, port } = JSON.parse(/^result (.*)$/m.exec(running.printed())?.[1] ?? '');
  assert.equal(port, 34_000);
  assert.equal(report.bindable, false);
  assert.deepEqual(
    report.steps.map((step: { outcome: string }) => step.outcome),
    ['done', 'refused'],
  );
  assert.match(report.steps[1].why, /got the port only now/);
});
