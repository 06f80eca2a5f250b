/**
 * What goes wrong in the middle: processes that end, hang, multiply, belong to others; several at once; an interruption.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FreeProgress, type FreeReport, free } from '../../src/free.ts';
import { namespaceCommand, namespaceEnvironment } from '../../src/stage/namespace.ts';
import { findProgram, missing } from '../../src/stage/needs.ts';
import { openStage } from '../../src/stage/open.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { openDescriptors } from '../os/linux/open-descriptors.ts';
import { finished, openWorld, outcomes, rebind, startRebind, type World } from './world.ts';

const listen = (port: number): string =>
  `const server = require('net').createServer().listen(${port}, () => console.log('ready'));`;

const prefix = namespaceCommand();

let world: World;
let stage: Stage;
beforeEach(async () => {
  world = openWorld();
  stage = openStage();
  await world.bystander();
});
afterEach(async () => {
  world.assertBystanders();
  await world[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

function reasons(report: FreeReport): (string | null)[] {
  return report.steps.map((step) => step.why);
}

describe('whose process it is', () => {
  test('a process in another directory is only stopped after a yes', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: world.directory });
    const without = await rebind(['free', String(port)]);
    assert.equal(without.status, 1);
    assert.deepEqual(outcomes(without.json), ['stop-process refused']);
    assert.match(without.json.steps[0].why, /it runs in another directory: .*; confirm with --yes$/);
    assert.ok(server.isAlive());
    const asked: string[] = [];
    const no = await free(port, { confirm: (steps) => !asked.push(...steps.map((step) => step.doubt ?? '')) });
    assert.equal(no.bindable, false);
    assert.match(asked.join(), /another directory/);
    assert.ok(server.isAlive());
    assert.equal((await free(port, { confirm: async () => true })).bindable, true);
    await server.closed();
    assert.equal(await server.ended(), 'SIGTERM');
  });

  test('a process that runs below where one stands is of the same project', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: join(process.cwd(), 'src') });
    assert.equal((await rebind(['free', String(port)])).status, 0);
    await server.ended();
  });

  test('root asks before it stops the process of a user', { skip: missing(['second-user']) ?? false }, async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { uid: 1, gid: 1 });
    const without = await rebind(['free', String(port)]);
    assert.equal(without.status, 1);
    assert.match(without.json.steps[0].why, /belongs to user daemon; confirm with --yes$/);
    assert.ok(server.isAlive());
    assert.equal((await rebind(['free', String(port), '--yes'])).status, 0);
    await server.ended();
  });

  test('a server that the command runs inside of is never signalled, not even with --force and --yes', async () => {
    const port = stage.freePort();
    const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
    const server = await world.node(
      `${listen(port)} server.on('listening', () => {
        const run = require('child_process').spawn(process.execPath, [${JSON.stringify(command)}, 'free', '${port}', '--json', '--yes', '--force', '--grace', '0']);
        let out = ''; run.stdout.on('data', (text) => out += text); run.on('close', (status) => console.log('status', status, JSON.stringify(JSON.parse(out))));
      })`,
    );
    const [, status, text] = await server.line(/status (\d) (.*)\n/);
    assert.equal(status, '1');
    const json = JSON.parse(text ?? '');
    assert.deepEqual(outcomes(json), ['stop-process refused']);
    assert.match(json.steps[0].why, /runs inside it/);
    assert.ok(server.isAlive());
  });

  test('the calling process itself is never signalled', async () => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const report = await free(port, { yes: true, force: true });
    assert.equal(report.bindable, false);
    assert.deepEqual(reasons(report), ['it is this very process']);
    server.close();
  });

  test('nobody is stopped when somebody else who may not be would keep the port blocked', async () => {
    const port = stage.freePort();
    const other = await stage.actor('other');
    const theirs = await other.open({ reuseAddress: true, reusePort: true });
    await theirs.bind('127.0.0.1', port);
    await theirs.listen();
    const server = createServer().listen({ port, host: '127.0.0.2' });
    await once(server, 'listening');
    const report = await free(`0.0.0.0:${port}`, { yes: true });
    assert.equal(report.bindable, false);
    assert.deepEqual(report.steps.map((step) => step.outcome).sort(), ['refused', 'skipped']);
    assert.match(reasons(report).join(), /it would not be enough/);
    server.close();
    assert.equal(await (await other.open()).address().then(() => 'alive'), 'alive');
  });
});

describe('what happens meanwhile', () => {
  test('a holder that ends between the look and the signal is no failure', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: world.directory });
    const report = await free(port, {
      confirm: async () => {
        server.child.kill('SIGKILL');
        await once(server.child, 'exit');
        return true;
      },
    });
    assert.equal(report.bindable, true);
    assert.notEqual(report.steps[0]?.outcome, 'failed');
  });

  test('a holder that lets go of the port while somebody thinks about the question is not signalled', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `${listen(port)} process.on('SIGUSR2', () => server.close(() => console.log('closed'))); setInterval(() => {}, 1e6)`,
      { cwd: world.directory },
    );
    const heir = createServer();
    const report = await free(port, {
      confirm: async () => {
        server.child.kill('SIGUSR2');
        await server.line(/closed/);
        heir.listen(port);
        await once(heir, 'listening');
        return true;
      },
    });
    heir.close();
    assert.equal(report.bindable, false);
    assert.deepEqual(reasons(report).slice(0, 1), ['it released the port and is still running']);
    assert.ok(server.isAlive());
  });

  test('a worker that let go with its parent is not asked, though another one still has the port', async () => {
    const port = stage.freePort();
    // Both inherit the socket; one of them lets go of it when its parent says so.
    const follower = `process.stdin.once('data', () => { require('fs').closeSync(3); console.log('followed'); }); setInterval(() => {}, 1e6);`;
    const starter = `const server = require('net').createServer().listen(${port}, () => {
      const start = (code) => require('child_process').spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit', server._handle.fd] });
      const follower = start(${JSON.stringify(follower)});
      start("console.log('ready'); setInterval(() => {}, 1e6)").stdout.pipe(process.stdout);
      process.on('SIGTERM', () => { follower.stdin.write('go'); follower.stdout.on('data', () => process.exit()); });
    })`;
    const server = await world.run([process.execPath, '-e', starter], /^ready/m);
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0, JSON.stringify(json));
    const whys = json.steps.map((step: { outcome: string; why: string | null }) => `${step.outcome} ${step.why}`);
    assert.ok(whys.includes('skipped it released the port and is still running'), whys.join('\n'));
    const spared = json.steps.find((step: { outcome: string }) => step.outcome === 'skipped');
    process.kill(spared.target.pid, 'SIGKILL');
    await server.closed();
  });

  test('a process that got the number of the holder is not signalled', {
    skip: prefix === null ? 'this machine does not let this user make namespaces' : false,
  }, async () => {
    const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const program = `
      import { raiseLoopback } from ${at('../../src/stage/namespace.js')};
      import { free } from ${at('../../src/free.js')};
      import { spawn } from 'node:child_process';
      import { once } from 'node:events';
      import { rmSync, writeFileSync } from 'node:fs';
      raiseLoopback();
      const hold = () => spawn(process.execPath, ['-e', "require('net').createServer().listen(4000, () => console.log('ready'))"], { cwd: '/tmp', stdio: ['ignore', 'pipe', 'inherit'] });
      const server = hold();
      await once(server.stdout, 'data');
      let heir;
      const report = await free(4000, { confirm: async () => {
        server.kill('SIGKILL');
        await once(server, 'exit');
        for (let tries = 0; tries < 100 && heir?.pid !== server.pid; tries++) {
          heir?.kill('SIGKILL');
          writeFileSync('/proc/sys/kernel/ns_last_pid', String(server.pid - 1));
          heir = spawn('sleep', ['60'], { stdio: 'ignore' });
        }
        return true;
      } });
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log(JSON.stringify({ same: heir.pid === server.pid, alive: heir.exitCode === null && heir.signalCode === null, bindable: report.bindable }));
      heir.kill('SIGKILL');`;
    const [file = '', ...args] = prefix ?? [];
    const child = spawn(file, [...args, process.execPath, '--input-type=module', '-e', program], {
      env: { ...namespaceEnvironment(), NODE_TEST_CONTEXT: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ran = await finished(child);
    assert.deepEqual(ran.json, { same: true, alive: true, bindable: true });
  });

  test('a holder that becomes a zombie has ended', async () => {
    const port = stage.freePort();
    const code = `require('net').createServer().listen(${port}, () => console.log('ready'))`;
    // The shell turns into a sleep, which waits for nobody.
    const parent = await world.run(['sh', '-c', `"${process.execPath}" -e "${code}" & exec sleep 600`], /^ready/m);
    const { status, json } = await rebind(['free', String(port), '--grace', '8s']);
    assert.equal(status, 0);
    assert.ok(json.elapsedMs < 6000, `${json.elapsedMs} ms`);
    assert.ok(parent.isAlive());
  });

  test('a stopped process is continued, so that it can end', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port));
    server.child.kill('SIGSTOP');
    const { status } = await rebind(['free', String(port), '--grace', '5s']);
    assert.equal(status, 0);
    assert.equal(await server.ended(), 'SIGTERM');
  });

  test('two at once send one SIGTERM, and both tell that the port is free', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `${listen(port)} process.on('SIGTERM', () => { console.log('asked'); setTimeout(() => process.exit(0), 5000); })`,
    );
    const first = finished(startRebind(['free', String(port)]));
    await server.line(/asked/);
    const second = rebind(['free', String(port)]);
    const both = await Promise.all([first, second]);
    assert.deepEqual(
      both.map(({ status }) => status),
      [0, 0],
    );
    assert.equal(server.printed().match(/asked/g)?.length, 1);
    assert.equal(both[1].json.steps[0].why, 'another rebind stopped it');
  });

  test('Ctrl-C tells how the port is, leaves the rest alone, and ends as an interrupted program', async () => {
    const port = stage.freePort();
    const server = await world.node(`${listen(port)} process.on('SIGTERM', () => console.log('asked'))`);
    const child = startRebind(['free', String(port), '--grace', '60s']);
    const running = finished(child);
    await server.line(/asked/);
    child.kill('SIGINT');
    const { signal, json } = await running;
    assert.equal(signal, 'SIGINT');
    assert.equal(json.error.kind, 'interrupted');
    assert.equal(json.bindable, false);
    assert.deepEqual(outcomes(json), ['stop-process failed']);
    assert.equal(json.steps[0].why, 'it got the signal, and was still running at the interruption');
    assert.ok(server.isAlive());
  });

  test('Ctrl-C tells how every port is that was asked about, and touches none of the rest', async () => {
    const [first, second] = [stage.freePort(), stage.freePort()];
    const server = await world.node(`${listen(first)} process.on('SIGTERM', () => console.log('asked'))`);
    const other = await world.node(listen(second));
    const child = startRebind(['free', String(first), String(second), '--grace', '60s']);
    const running = finished(child);
    await server.line(/asked/);
    child.kill('SIGINT');
    const { json } = await running;
    assert.equal(json.error.kind, 'interrupted');
    assert.deepEqual(
      json.results.map((result: { endpoint: { port: number }; bindable: boolean }) => [
        result.endpoint.port,
        result.bindable,
      ]),
      [
        [first, false],
        [second, false],
      ],
    );
    assert.deepEqual(json.results[1].steps, []);
    assert.ok(server.isAlive() && other.isAlive());
  });

  test('Ctrl-C at the question leaves everything alone', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: world.directory });
    const controller = new AbortController();
    const confirm = (): Promise<boolean> => {
      controller.abort(new Error('enough'));
      return Promise.reject(controller.signal.reason);
    };
    await assert.rejects(free(port, { signal: controller.signal, confirm }), /enough/);
    assert.ok(server.isAlive());
  });

  test('a yes that comes after the abort is none', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port), { cwd: world.directory });
    const controller = new AbortController();
    const confirm = (): boolean => {
      controller.abort(new Error('enough'));
      return true;
    };
    const steps: string[] = [];
    const onProgress = (progress: FreeProgress): void => {
      if (progress.kind === 'step') steps.push(`${progress.step.outcome} ${progress.step.why}`);
    };
    await assert.rejects(free(port, { signal: controller.signal, confirm, onProgress }), /enough/);
    assert.deepEqual(steps, ['skipped interrupted before it']);
    assert.ok(server.isAlive());
  });

  test('too few descriptors for so many holders: nobody is signalled, the other endpoint is freed, exit status 3', {
    skip: findProgram('prlimit') === null ? 'prlimit (of util-linux) is not installed' : false,
  }, async () => {
    const [port, next] = [stage.freePort(), stage.freePort()];
    const server = await world.node(
      `const server = require('net').createServer().listen(${port}, () => {
        const child = require('child_process').spawn('sh', ['-c', 'for i in $(seq 150); do sleep 600 & done; echo started; wait'], { stdio: ['ignore', 'pipe', 'inherit', server._handle.fd] });
        child.stdout.on('data', () => console.log('ready'));
      })`,
    );
    await world.node(listen(next));
    const few = ['prlimit', '--nofile=100:100'];
    const { status, json, stderr } = await rebind(['free', String(port), String(next), '--yes'], { before: few });
    assert.equal(status, 3);
    assert.equal(json.error.kind, 'system');
    assert.match(json.error.message, /EMFILE/);
    assert.doesNotMatch(stderr, /bug in rebind/);
    assert.deepEqual(
      json.results.map(({ bindable }: { bindable: boolean }) => bindable),
      [false, true],
    );
    assert.ok(server.isAlive());
    for (const { outcome, why } of json.results[0].steps)
      assert.deepEqual([outcome, why], ['skipped', 'interrupted before it']);
    assert.equal((await rebind(['free', String(port), '--yes'])).status, 0);
  });

  test('an aborted call rejects with the reason of its signal', async () => {
    const port = stage.freePort();
    const server = await world.node(`${listen(port)} process.on('SIGTERM', () => console.log('asked'))`);
    const reason = new Error('enough');
    const controller = new AbortController();
    const running = free(port, { signal: controller.signal });
    void server.line(/asked/).then(() => controller.abort(reason));
    await assert.rejects(running, reason);
    await assert.rejects(free(port, { signal: AbortSignal.abort(reason) }), reason);
    assert.ok(server.isAlive());
  });

  test('a jumping clock changes nothing', async () => {
    const port = stage.freePort();
    await world.node(`${listen(port)} process.on('SIGTERM', () => setTimeout(() => process.exit(0), 700))`);
    const real = Date.now;
    let jump = 0;
    Date.now = () => {
      jump = -jump + (jump <= 0 ? 86_400_000 : 1);
      return real() + jump;
    };
    try {
      const report = await free(port, { graceMs: 10_000 });
      assert.equal(report.bindable, true);
      assert.ok(report.elapsedMs >= 600 && report.elapsedMs < 5_000, `${report.elapsedMs} ms`);
    } finally {
      Date.now = real;
    }
  });

  test('a thousand holders are stopped', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `const server = require('net').createServer().listen(${port}, () => {
        const child = require('child_process').spawn('sh', ['-c', 'for i in $(seq 999); do sleep 600 & done; echo started; wait'], { stdio: ['ignore', 'pipe', 'inherit', server._handle.fd] });
        child.stdout.on('data', () => console.log('ready'));
      })`,
    );
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0, JSON.stringify(json).slice(0, 2000));
    const stopped = json.steps.filter((step: { target: { kind: string }; outcome: string }) => step.outcome === 'done');
    assert.ok(stopped.length >= 1000, `${stopped.length} were stopped`);
    await server.ended();
  });

  test('who hands its socket to a new process whenever it is asked is told, and is beaten with --force', async () => {
    const port = stage.freePort();
    const script = join(world.directory, 'hydra.sh');
    // Every head ends when the script is gone.
    writeFileSync(script, `trap 'sh "$0" & exit' TERM\necho head\nwhile test -e "$0"; do sleep 0.02; done\n`);
    const starter = `const server = require('net').createServer().listen(${port}, () => {
      require('child_process').spawn('sh', [${JSON.stringify(script)}], { stdio: ['ignore', 'inherit', 'inherit', server._handle.fd], detached: true }).unref();
      setTimeout(() => process.exit(0), 300);
    })`;
    try {
      const server = await world.run([process.execPath, '-e', starter], /head/);
      await server.ended();
      const polite = await rebind(['free', String(port), '--grace', '500ms', '--yes']);
      assert.equal(polite.status, 1);
      // A signal between fork and exec is lost, and then this head is one that does not end.
      const whys = polite.json.steps.map((step: { why: string | null }) => step.why).join();
      assert.match(whys, /faster than they can be stopped|still running/);
      const forced = await rebind(['free', String(port), '--force', '--grace', '1s', '--yes']);
      assert.equal(forced.status, 0, JSON.stringify(forced.json, null, 1));
    } finally {
      rmSync(script);
    }
  });

  test('nothing stays open, whatever the end', async () => {
    const port = stage.freePort();
    await free(port);
    const before = openDescriptors();
    const server = await world.node(listen(port), { cwd: world.directory });
    await free(port, { dryRun: true });
    assert.equal((await free(port)).bindable, false);
    assert.equal((await free(port, { yes: true })).bindable, true);
    await server.closed();
    assert.deepEqual(openDescriptors(), before);
  });
});
