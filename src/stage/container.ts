/**
 * A real container without an image: podman with a directory that holds nothing but a static busybox.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './needs.ts';
import type { Stage } from './stage.ts';

/** See `Stage.container`. */
export async function startContainer(stage: Stage, port: number): Promise<{ name: string; pid: number }> {
  const root = join(stage.directory(), 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  // busybox does what its own name says.
  copyFileSync(findProgram('busybox') ?? 'busybox', join(root, 'bin', 'httpd'));
  const name = `rebind-stage-${port}`;
  stage.defer(() => stage.run(['podman', 'rm', '--force', '--ignore', '--time', '0', name]));
  // runc and the limits: crun refuses a hybrid cgroup layout, and the defaults may be above those of this process.
  const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
  // As its first process httpd ignores SIGTERM, so there is nothing to wait for when it is stopped.
  const stopping = ['--stop-timeout', '0'];
  const published = `127.0.0.1:${port}:80`;
  const httpd = ['/bin/httpd', '-f', '-p', '80'];
  await stage.run([
    ...['podman', 'run', '--detach', '--rm', '--runtime', 'runc', ...limits, ...stopping],
    ...['--publish', published, '--name', name, '--rootfs', root, ...httpd],
  ]);
  const pid = await stage.run(['podman', 'inspect', '--format', '{{.State.ConmonPid}}', name]);
  return { name, pid: Number(pid) };
}
