/** A real podman: as root, with a published port and on the network of the machine. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findProgram } from '../../src/stage/needs.ts';
import { lacks, openWorld, type World } from './world.ts';

const skip = lacks('podman', 'runc', 'conmon', 'busybox', 'nsenter', 'unshare', 'ss');

describe('podman', { skip }, () => {
  let world: World;
  let run: (name: string, options: readonly string[], port: number) => Promise<string>;

  before(async () => {
    world = await openWorld();
    const root = join(world.folder, 'root');
    mkdirSync(join(root, 'bin'), { recursive: true });
    copyFileSync(findProgram('busybox') ?? '', join(root, 'bin/httpd'));
    // runc and the limits: crun refuses a hybrid cgroup layout, and the defaults may be above those of this process.
    const limits = [
      '--runtime',
      'runc',
      '--ulimit',
      'nofile=1024:1024',
      '--ulimit',
      'nproc=1024:1024',
      '--stop-timeout',
      '0',
    ];
    run = (name, options, port) =>
      world.must([
        'podman',
        'run',
        '--detach',
        '--name',
        name,
        ...limits,
        ...options,
        '--rootfs',
        root,
        '/bin/httpd',
        '-f',
        '-p',
        `${port}`,
      ]);
  });
  after(async () => {
    await world?.run(['podman', 'rm', '--force', '--time', '0', 'rebind-engine-web', 'rebind-engine-host']);
    await world?.[Symbol.asyncDispose]();
  });

  test('the container that publishes the port is named and stopped, and its monitor is left alone', async () => {
    await run('rebind-engine-web', ['--publish', '127.0.0.1:3300:80'], 80);
    await world.listens(3300);
    const why = await world.rebind(['why', '127.0.0.1:3300']);
    assert.match(why.json.verdict.sentence, /is published by the podman container rebind-engine-web; conmon/);
    assert.equal(why.json.plan.at(-1).command, 'podman stop rebind-engine-web');
    const freed = await world.rebind(['free', '127.0.0.1:3300', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    assert.equal(freed.json.steps.at(-1).remedy, 'stop-container');
  });

  test('a container on the network of the machine is named, and is not published', async () => {
    await run('rebind-engine-host', ['--network', 'host'], 3301);
    await world.listens(3301);
    const why = await world.rebind(['why', '3301']);
    assert.match(
      why.json.verdict.sentence,
      /in the podman container rebind-engine-host, which uses the network of this machine$/,
    );
    const freed = await world.rebind(['free', '3301', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    assert.equal(freed.json.steps.at(-1).target.name, 'rebind-engine-host');
  });
});
