/** A real Docker engine, in namespaces of its own: with and without its proxy, on the machine's network, paused, and asked by others. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findProgram } from '../../src/stage/needs.ts';
import { lacks, openWorld, type World } from './world.ts';

const skip = lacks('dockerd', 'docker', 'iptables', 'busybox', 'nsenter', 'unshare', 'ss');

for (const proxy of [true, false]) {
  describe(`docker ${proxy ? 'with' : 'without'} its proxy`, { skip }, () => {
    let world: World;
    let env: Record<string, string>;

    before(async () => {
      world = await openWorld();
      const { folder } = world;
      const host = `unix://${folder}/docker.sock`;
      env = { DOCKER_HOST: host };
      world.start([
        ...[
          'dockerd',
          `--userland-proxy=${proxy}`,
          '--storage-driver',
          'vfs',
          '--host',
          host,
          '--pidfile',
          `${folder}/pid`,
        ],
        ...['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`],
      ]);
      const root = join(folder, 'root');
      mkdirSync(join(root, 'bin'), { recursive: true });
      copyFileSync(findProgram('busybox') ?? '', join(root, 'bin/busybox'));
      for (const name of ['sh', 'httpd', 'sleep', 'nc']) symlinkSync('busybox', join(root, 'bin', name));
      await world.until(['docker', 'info'], { env });
      await world.must(['sh', '-c', `tar -C ${root} -c . | docker import - box`], { env });
    });
    after(async () => {
      // The engine ends its containers; without this their shims would be left to the kernel.
      await world?.run(['sh', '-c', 'docker rm --force $(docker ps --all --quiet)'], { env });
      await world?.[Symbol.asyncDispose]();
    });

    const runs = (name: string, options: readonly string[], port: number): Promise<string> =>
      world.must(
        [
          'docker',
          'run',
          '--detach',
          '--stop-timeout',
          '0',
          '--name',
          name,
          ...options,
          'box',
          'httpd',
          '-f',
          '-p',
          `${port}`,
        ],
        {
          env,
        },
      );

    test('the container that publishes the port is named, and stopped instead of the engine', async () => {
      await runs('shop-db', ['--publish', '3778:80'], 80);
      await runs('other', ['--publish', '127.0.0.1:3779:80'], 80);
      await world.listens(3778);
      const why = await world.rebind(['why', '3778'], { env });
      assert.equal(why.json.verdict.cause, 'container-port');
      assert.match(why.json.verdict.sentence, /is published by the docker container shop-db/);
      assert.equal(why.json.plan.at(-1).command, 'docker stop shop-db');
      const plan = await world.rebind(['free', '3778', '--dry-run'], { env, cwd: world.folder });
      assert.deepEqual(
        plan.json.steps
          .filter(({ remedy }: { remedy: string }) => remedy.startsWith('stop'))
          .map(({ target }: Step) => [target.kind, target.name]),
        [['manager', 'shop-db']],
      );
      const freed = await world.rebind(['free', '3778', '--yes'], { env });
      assert.equal(freed.status, 0, freed.text);
      assert.equal(
        await world.must(['docker', 'ps', '--format', '{{.Names}}'], { env }),
        'other',
        'the engine and the other container go on',
      );
      const ls = await world.rebind(['ls'], { env });
      const listed = ls.json.sockets.find(({ local }: { local: { port: number } }) => local.port === 3779);
      assert.deepEqual([listed.holders[0].manager.name, listed.holders[0].manager.confirmed], ['other', true]);
    });

    test('what is published on another address, or by the other protocol, is not the one', async () => {
      await runs('by-udp', ['--publish', '127.0.0.1:3790:80/udp'], 80);
      await runs('by-tcp', ['--publish', '127.0.0.1:3790:80/tcp'], 80);
      await world.listens(3790);
      const tcp = await world.rebind(['why', '127.0.0.1:3790'], { env });
      assert.equal(tcp.json.plan.at(-1).command, 'docker stop by-tcp', tcp.text);
      const udp = await world.rebind(['why', 'udp/127.0.0.1:3790'], { env });
      assert.equal(udp.json.plan.at(-1).command, 'docker stop by-udp', udp.text);
    });

    test('without an answer from the engine it only looks so, and neither the engine nor its forwarder is stopped', async () => {
      const blind = { env: { DOCKER_HOST: `unix://${world.folder}/nothing.sock` } };
      const why = await world.rebind(['why', '127.0.0.1:3779'], blind);
      assert.match(why.json.verdict.sentence, /seems to be published by a docker container.*could not be asked/);
      const { manager } = why.json.blockers[0].holders[0];
      assert.deepEqual([manager.kind, manager.confirmed], ['docker', false]);
      const freed = await world.rebind(['free', '127.0.0.1:3779', '--yes', '--force', '--grace', '1s'], blind);
      assert.equal(freed.status, 1);
      assert.ok(
        freed.json.steps.every(({ outcome }: Step) => outcome !== 'done'),
        freed.text,
      );
      await world.must(['docker', 'info'], { env });
    });
  });
}

describe('docker on the network of the machine', { skip }, () => {
  test('a container is named that is not published, also a paused one, and one of another engine is not', async () => {
    await using world = await openWorld();
    const { folder } = world;
    const host = `unix://${folder}/docker.sock`;
    const env = { DOCKER_HOST: host };
    world.start([
      ...['dockerd', '--storage-driver', 'vfs', '--host', host, '--pidfile', `${folder}/pid`],
      ...['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`],
    ]);
    const root = join(folder, 'root');
    mkdirSync(join(root, 'bin'), { recursive: true });
    copyFileSync(findProgram('busybox') ?? '', join(root, 'bin/httpd'));
    await world.until(['docker', 'info'], { env });
    await world.must(['sh', '-c', `tar -C ${root} -c . | docker import - box`], { env });
    const run = [
      'docker',
      'run',
      '--detach',
      '--stop-timeout',
      '0',
      '--network',
      'host',
      '--name',
      'api',
      '--restart',
      'always',
      'box',
      'httpd',
      '-f',
      '-p',
      '5000',
    ];
    const id = await world.must(run, { env });
    await world.listens(5000);
    const why = await world.rebind(['why', '5000'], { env });
    assert.match(
      why.json.verdict.sentence,
      /^httpd \(pid \d+\) listens on port 5000 in the docker container api, which uses the network of this machine$/,
    );
    assert.deepEqual(why.json.blockers[0].holders[0].container, { id, name: 'api', runtime: 'docker' });

    await world.must(['docker', 'pause', 'api'], { env });
    const paused = await world.rebind(['why', '5000'], { env });
    assert.match(paused.json.verdict.sentence, /the docker container api, which is paused/);
    await world.must(['docker', 'unpause', 'api'], { env });

    // A stranger's engine that knows the right id: its answer is compared with the kernel's.
    const fake = join(folder, 'fake');
    mkdirSync(fake);
    const answer = JSON.stringify([{ Id: id, Name: '/victim', State: { Pid: 1 }, NetworkSettings: { Ports: {} } }]);
    writeFileSync(join(fake, 'docker'), `#!/bin/sh\necho "$*" >>${fake}/calls\nprintf '%s' '${answer}'\n`);
    chmodSync(join(fake, 'docker'), 0o755);
    const lied = await world.rebind(['free', '5000', '--dry-run'], { env: { ...env, PATH: `${fake}:/usr/bin:/bin` } });
    assert.equal(lied.json.steps.at(-1).target.kind, 'process', lied.text);
    assert.match(lied.json.steps.at(-1).doubt, /looks as if .*docker says that other processes run in it/);

    const freed = await world.rebind(['free', '5000', '--yes'], { env });
    assert.equal(freed.status, 0, freed.text);
    assert.equal(freed.json.steps.at(-1).remedy, 'stop-container');
    await world.run(['docker', 'rm', '--force', 'api'], { env });
  });
});

interface Step {
  readonly target: { readonly kind: string; readonly name: string };
  readonly outcome: string;
}
