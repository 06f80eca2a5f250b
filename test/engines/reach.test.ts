/** What `rebind reach` says of ports of real containers: paused, not published, published for a server that only listens inside. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findProgram } from '../../src/stage/needs.ts';
import { lacks, openWorld, type World } from './world.ts';

/** A directory with a shell, a web server and nothing else. */
function rootOf(folder: string): string {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync(findProgram('busybox') ?? '', join(root, 'bin/busybox'));
  for (const name of ['sh', 'httpd', 'sleep', 'nc', 'wget']) symlinkSync('busybox', join(root, 'bin', name));
  return root;
}

const noDocker = lacks('dockerd', 'docker', 'iptables', 'busybox', 'nsenter', 'unshare', 'ss', 'ip');

for (const proxy of [true, false]) {
  describe(`docker ${proxy ? 'with' : 'without'} its proxy`, { skip: noDocker, timeout: 180_000 }, () => {
    let world: World;
    let env: Record<string, string>;

    before(async () => {
      world = await openWorld();
      const { folder } = world;
      const host = `unix://${folder}/docker.sock`;
      env = { DOCKER_HOST: host };
      world.start([
        ...['dockerd', `--userland-proxy=${proxy}`, '--storage-driver', 'vfs', '--host', host],
        ...['--pidfile', `${folder}/pid`, '--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`],
      ]);
      await world.until(['docker', 'info'], { env });
      await world.must(['sh', '-c', `tar -C ${rootOf(folder)} -c . | docker import - box`], { env });
    });
    after(async () => {
      // The engine ends its containers; without this their shims would be left to the kernel.
      await world?.run(['sh', '-c', 'docker rm --force $(docker ps --all --quiet)'], { env });
      await world?.[Symbol.asyncDispose]();
    });

    const runs = (name: string, options: readonly string[], command: readonly string[]): Promise<string> =>
      world.must(['docker', 'run', '--detach', '--stop-timeout', '0', '--name', name, ...options, 'box', ...command], {
        env,
      });
    const address = (name: string): Promise<string> =>
      world.must(['docker', 'inspect', '--format', '{{.NetworkSettings.IPAddress}}', name], { env });
    const gateway = (): Promise<string> =>
      world.must(['sh', '-c', "ip -4 -o addr show docker0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'"]);

    test('a server that listens on 127.0.0.1 inside is named as the reason', async () => {
      await runs('shy', ['--publish', '3780:3780'], ['httpd', '-f', '-p', '127.0.0.1:3780']);
      // Docker forwards what comes to another address of the machine than loopback by rules alone.
      const host = await gateway();
      const { json, text } = await world.rebind(['reach', `http://${host}:3780/`], { env });
      assert.equal(json.reachable, false, text);
      assert.equal(json.verdict?.cause, 'published-inner-loopback', text);
      assert.match(json.verdict.sentence, /127\.0\.0\.1:3780 only/);
    });

    test('a paused container is what does not answer', async () => {
      await runs('paused', ['--publish', '3781:80'], ['httpd', '-f', '-p', '80']);
      const inner = await address('paused');
      const up = await world.rebind(['reach', `http://${inner}:80/`], { env });
      assert.equal(up.json.reachable, true, up.text);
      await world.must(['docker', 'pause', 'paused'], { env });
      const { json, text } = await world.rebind(['reach', `http://${inner}:80/`], { env });
      await world.must(['docker', 'unpause', 'paused'], { env });
      assert.equal(json.reachable, false, text);
    });

    test('a port of a container that is not published is found where it is', async () => {
      await runs('inside', [], ['httpd', '-f', '-p', '3782']);
      const { json, text } = await world.rebind(['reach', '127.0.0.1:3782'], { env });
      assert.equal(json.reachable, false, text);
      assert.equal(json.verdict?.cause, 'other-namespace', text);
    });

    test('the port of a container that was stopped is free', async () => {
      await runs('gone', ['--publish', '3783:80'], ['httpd', '-f', '-p', '80']);
      await world.must(['docker', 'stop', 'gone'], { env });
      const { json, text } = await world.rebind(['reach', '127.0.0.1:3783'], { env });
      assert.equal(json.verdict?.cause, 'nothing-listens', text);
    });
  });
}

const noPodman = lacks('podman', 'runc', 'busybox', 'nsenter', 'unshare', 'ss', 'ip');

describe('podman', { skip: noPodman, timeout: 180_000 }, () => {
  test('a published port answers, and a server that listens on 127.0.0.1 inside is named as the reason', async () => {
    await using world = await openWorld();
    const root = rootOf(world.folder);
    const limits = ['--runtime', 'runc', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
    const run = (name: string, published: string, command: readonly string[]): Promise<string> =>
      world.must([
        ...['podman', 'run', '--detach', '--rm', ...limits, '--stop-timeout', '0', '--name', name],
        ...['--publish', published, '--rootfs', root, ...command],
      ]);
    await run('open', '3784:3784', ['/bin/httpd', '-f', '-p', '3784']);
    const open = await world.rebind(['reach', 'http://127.0.0.1:3784/']);
    assert.equal(open.json.reachable, true, open.text);
    await world.run(['podman', 'rm', '--force', '--time', '0', 'open']);

    await run('shy', '3785:3785', ['/bin/httpd', '-f', '-p', '127.0.0.1:3785']);
    const shy = await world.rebind(['reach', 'http://127.0.0.1:3785/']);
    assert.equal(shy.json.reachable, false, shy.text);
    assert.equal(shy.json.verdict?.cause, 'published-inner-loopback', shy.text);
    await world.run(['podman', 'rm', '--force', '--time', '0', 'shy']);
  });
});
