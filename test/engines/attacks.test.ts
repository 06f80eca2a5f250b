/** Another user of the machine who writes a process's name, arguments, cgroup and sockets as it likes: nothing of it chooses what root runs. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Document, lacks, openWorld, type World } from './world.ts';

const skip = lacks('nsenter', 'unshare', 'ss');
const stranger = 65_534;

interface Forged {
  /** The name that it gives itself, which is also its command line. */
  readonly title: string;
  /** A listener on a Unix path, which answers with a text. */
  readonly socket?: { readonly path: string; readonly answer: string };
  /** What stands above it has the title, and it is an ordinary server. */
  readonly below?: boolean;
}

/** A server of the stranger on port 3000, in a folder of its own. */
async function forge(world: World, { title, socket, below = false }: Forged): Promise<void> {
  const serve = `require('node:net').createServer().listen(3000);`;
  const listen =
    socket === undefined
      ? ''
      : `require('node:net').createServer((one) => { require('node:fs').appendFileSync(${JSON.stringify(`${socket.path}.asked`)}, 'x'); one.end(${JSON.stringify(socket.answer)}); }).listen(${JSON.stringify(socket.path)});`;
  const child = below
    ? `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(serve)}]);`
    : serve;
  const code = `process.title = ${JSON.stringify(title)}; ${listen} ${child} setInterval(() => {}, 1e6)`;
  // A title takes no more room than the arguments had.
  world.start([process.execPath, '-e', code, ' '.repeat(title.length)], { uid: stranger, cwd: '/' });
  await world.listens(3000);
}

/** A folder that the stranger may write to. */
async function theirs(world: World, name: string): Promise<string> {
  const folder = join(world.folder, name);
  chmodSync(world.folder, 0o755);
  mkdirSync(folder);
  await world.must(['chown', `${stranger}:${stranger}`, folder]);
  return folder;
}

/** Stand-ins for the managers' programs, which note how they are called; none of them may be told to stop anything. */
function programs(
  world: World,
  folder = join(world.folder, 'bin'),
  answer = '',
): { readonly path: string; readonly calls: () => string[] } {
  mkdirSync(folder, { recursive: true });
  for (const name of ['docker', 'podman', 'systemctl', 'pm2', 'supervisorctl']) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>${folder}/calls\nprintf '%s' '${answer}'\n`);
    chmodSync(join(folder, name), 0o755);
  }
  const file = join(folder, 'calls');
  return {
    path: `${folder}:/usr/bin:/bin`,
    calls: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []),
  };
}

const changes = /\b(stop|kill|rm|restart|start)\b/;

describe('a stranger', { skip }, () => {
  for (const [what, title] of [
    ['conmon with an option in the place of a container', 'conmon -n my-test-db -c --all'],
    ['docker-proxy', 'docker-proxy'],
    ['rootlessport', 'rootlessport'],
    ['systemd', 'systemd'],
    ['a name with escape codes', 'pm2\u001b[31m\nstop --all'],
  ] as const)
    test(`that calls itself ${what} makes no manager do anything, and its own process is stopped after a yes`, async () => {
      await using world = await openWorld();
      await forge(world, { title });
      const { path, calls } = programs(world);
      const freed = await world.rebind(['free', '3000', '--yes'], { env: { PATH: path } });
      assert.equal(freed.status, 0, freed.text);
      assert.ok(
        calls().every((call) => !changes.test(call)),
        calls().join('\n'),
      );
      assert.doesNotMatch(freed.text, /\u001b/);
    });

  test('that forges a daemon of pm2, with a home and a socket of its own, gets no code run and no answer believed', async () => {
    await using world = await openWorld();
    const home = await theirs(world, 'pm2');
    const path = join(home, 'rpc.sock');
    await forge(world, { title: `PM2 v7.0.4: God Daemon (${home})`, below: true, socket: { path, answer: '{}' } });
    const { path: PATH, calls } = programs(world);
    const before = await world.must(['ls', home]);
    const plan = await world.rebind(['free', '3000', '--dry-run'], { env: { PATH } });
    assert.deepEqual(calls(), []);
    assert.equal(await world.must(['ls', home]), before, 'not even its socket was connected to');
    const [step] = plan.json.steps.filter(({ remedy }: Document) => remedy === 'stop-process');
    assert.match(
      step.doubt,
      /looks as if pm2 .* runs it \(it is the pm2 of user nobody, and only that user can run this\)/,
    );
  });

  test('that forges supervisord with a socket of its own is not asked', async () => {
    await using world = await openWorld();
    const folder = await theirs(world, 'supervisor');
    const path = join(folder, 'supervisor.sock');
    await forge(world, { title: 'supervisord', below: true, socket: { path, answer: 'HTTP/1.0 200 OK\r\n\r\n' } });
    const why = await world.rebind(['why', '3000']);
    const { manager } = why.json.blockers[0].holders[0];
    assert.deepEqual([manager.kind, manager.confirmed], ['supervisord', false]);
    assert.ok(!existsSync(`${path}.asked`), 'its socket was connected to');
  });

  const id = 'a'.repeat(64);
  const group = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((base) => existsSync(join(base, 'cgroup.procs')));
  for (const [what, name] of [
    ['the container of somebody else', `docker-${id}.scope`],
    ['a pattern of units', '[us]s[eh]*.service'],
    ['an option', '--all.service'],
  ] as const)
    test(`whose cgroup is named after ${what} makes nothing stop that`, {
      skip: group === undefined ? 'cgroup2 is not mounted' : false,
    }, async () => {
      await using world = await openWorld();
      const folder = join(group ?? '', `rebind-test-${process.pid}`);
      mkdirSync(join(folder, name), { recursive: true });
      try {
        // Root puts it there, as a delegated part of the tree would let the stranger do.
        const code = `require('node:net').createServer().listen(3000)`;
        world.start([
          'sh',
          '-c',
          `echo $$ >'${folder}/${name}/cgroup.procs' && exec setpriv --reuid=${stranger} --regid=${stranger} --clear-groups ${process.execPath} -e "${code}"`,
        ]);
        await world.listens(3000);
        const inspected = JSON.stringify([{ Id: id, Name: '/theirs', State: { Pid: 1 }, NetworkSettings: {} }]);
        const { path, calls } = programs(world, undefined, inspected);
        const freed = await world.rebind(['free', '3000', '--yes'], { env: { PATH: path } });
        assert.equal(freed.status, 0, freed.text);
        assert.ok(
          calls().every((call) => !changes.test(call)),
          calls().join('\n'),
        );
      } finally {
        await world[Symbol.asyncDispose]();
        for (const each of [join(folder, name), folder]) await removeGroup(each);
      }
    });

  test('that puts programs where root looks for them gets none of them run', async () => {
    await using world = await openWorld();
    const folder = await theirs(world, 'bin');
    const { calls } = programs(world, folder);
    await world.must(['chown', '-R', `${stranger}:${stranger}`, folder]);
    const open = join(world.folder, 'open');
    const another = programs(world, open);
    chmodSync(open, 0o777);
    const linked = join(world.folder, 'linked');
    mkdirSync(linked);
    await world.must(['ln', '-s', join(folder, 'docker'), join(linked, 'docker')]);
    const group2 = `docker-${id}.scope`;
    const at = join(group ?? '', `rebind-path-${process.pid}`);
    if (group === undefined) return;
    mkdirSync(join(at, group2), { recursive: true });
    try {
      world.start([
        'sh',
        '-c',
        `echo $$ >'${at}/${group2}/cgroup.procs' && exec ${process.execPath} -e "require('node:net').createServer().listen(3000)"`,
      ]);
      await world.listens(3000);
      for (const path of ['', '.', 'bin', folder, open, linked, `${world.folder}/nothing/../bin`]) {
        const why = await world.rebind(['why', '3000'], { env: { PATH: `${path}:${linked}` }, cwd: folder });
        assert.match(
          why.json.verdict.sentence,
          /there is no docker on the PATH that only root and this user can change/,
          path,
        );
      }
      assert.deepEqual([...calls(), ...another.calls()], []);
    } finally {
      await world[Symbol.asyncDispose]();
      for (const each of [join(at, group2), at]) await removeGroup(each);
    }
  });
});

/** A cgroup can be removed when its last process was reaped. */
async function removeGroup(path: string): Promise<void> {
  for (let left = 50; ; left--) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
