/** Real programs that start others again: pm2, supervisord, nodemon, node --watch, a shell loop, npm, ssh -R, rebind hold. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkout, type Document, lacks, openWorld, type World } from './world.ts';

const skip = lacks('nsenter', 'unshare', 'ss');
const bin = (name: string): string => join(checkout, 'node_modules/.bin', name);
const serve = (port: number): string =>
  `require('node:http').createServer((_, answer) => answer.end()).listen(${port});\n`;

/** A project with one server in it. */
function project(world: World, port: number): string {
  writeFileSync(join(world.folder, 'server.js'), serve(port));
  writeFileSync(
    join(world.folder, 'package.json'),
    JSON.stringify({ scripts: { start: 'node server.js', dev: 'node server.js' } }),
  );
  return world.folder;
}

function managerIn(why: Document): Document {
  return why.blockers[0].holders[0].manager;
}

const path = `${join(checkout, 'node_modules/.bin')}:${process.execPath.slice(0, process.execPath.lastIndexOf('/'))}:/usr/bin:/bin:/usr/sbin:/sbin`;

describe('supervisors', { skip }, () => {
  for (const instances of [1, 2])
    test(`an application of pm2 is stopped by it, with ${instances === 1 ? 'one process' : 'a cluster'}, and the other applications go on`, async () => {
      await using world = await openWorld();
      const cwd = project(world, 3000);
      writeFileSync(join(cwd, 'other.js'), serve(4000));
      const env = { PM2_HOME: join(cwd, 'pm2'), HOME: cwd, PATH: path };
      await world.must(
        [bin('pm2'), 'start', 'server.js', '--name', 'shop', ...(instances > 1 ? ['-i', `${instances}`] : [])],
        { env, cwd },
      );
      await world.must([bin('pm2'), 'start', 'other.js', '--name', 'other'], { env, cwd });
      await world.listens(3000);
      await world.listens(4000);
      const why = await world.rebind(['why', '3000'], { env, cwd });
      assert.deepEqual(
        [managerIn(why.json).kind, managerIn(why.json).name, managerIn(why.json).confirmed],
        ['pm2', 'shop', true],
      );
      assert.equal(why.json.plan.at(-1).command, 'pm2 stop shop');
      // Another HOME: the daemon is found by its socket, whatever the environment says, and none is started.
      const elsewhere = await world.rebind(['why', '3000'], { env: { HOME: '/nowhere' }, cwd });
      assert.match(elsewhere.json.plan.at(-1).command, /^PM2_HOME=\S+\/pm2 pm2 stop shop$/);
      const freed = await world.rebind(['free', '3000', '--yes'], { env, cwd });
      assert.equal(freed.status, 0, freed.text);
      assert.equal(freed.json.respawn, null);
      await world.listens(4000);
      const list = JSON.parse((await world.must([bin('pm2'), 'jlist'], { env, cwd })).replace(/^[^[]*/, ''));
      assert.deepEqual(list.map((each: Document) => [each.name, each.pm2_env.status]).sort(), [
        ['other', 'online'],
        ...Array(instances).fill(['shop', 'stopped']),
      ]);
      await world.run([bin('pm2'), 'kill'], { env, cwd });
    });

  test('a program of supervisord is stopped by it, through the script that starts the server', {
    skip: lacks('supervisord'),
  }, async () => {
    await using world = await openWorld();
    const cwd = project(world, 3000);
    const conf = [
      ...[
        '[unix_http_server]',
        `file=${cwd}/control.sock`,
        '[supervisord]',
        'nodaemon=true',
        `logfile=${cwd}/log`,
        `pidfile=${cwd}/pid`,
      ],
      ...[
        '[rpcinterface:supervisor]',
        'supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface',
      ],
      ...[
        '[supervisorctl]',
        `serverurl=unix://${cwd}/control.sock`,
        '[program:shop]',
        'command=npm run start',
        `directory=${cwd}`,
        'autorestart=true',
        'stopasgroup=true',
      ],
    ];
    writeFileSync(join(cwd, 'supervisord.conf'), `${conf.join('\n')}\n`);
    world.start(['supervisord', '-c', join(cwd, 'supervisord.conf')], { env: { PATH: path }, cwd });
    await world.listens(3000);
    const why = await world.rebind(['why', '3000'], { cwd });
    assert.deepEqual(
      [managerIn(why.json).kind, managerIn(why.json).name, managerIn(why.json).confirmed],
      ['supervisord', 'shop', true],
    );
    assert.equal(why.json.plan.at(-1).command, `supervisorctl -s unix://${cwd}/control.sock stop shop`);
    const freed = await world.rebind(['free', '3000', '--yes'], { cwd });
    assert.equal(freed.status, 0, freed.text);
    const status = await world.run(['supervisorctl', '-c', join(cwd, 'supervisord.conf'), 'status'], { cwd });
    assert.match(status.stdout + status.stderr, /^shop\s+STOPPED/);
  });

  const watchers: readonly (readonly [string, readonly string[]])[] = [
    ['nodemon', [bin('nodemon'), 'server.js']],
    ['node-watch', [process.execPath, '--watch', 'server.js']],
    ['tsx', [bin('tsx'), 'watch', 'server.js']],
    ['shell-loop', ['bash', '-c', `while true; do ${process.execPath} server.js; sleep 0.1; done`]],
  ];
  for (const [kind, words] of watchers)
    test(`what ${kind} runs is stopped together with it, and does not come back`, async () => {
      await using world = await openWorld();
      const cwd = project(world, 3000);
      const watcher = world.start(words, { env: { PATH: path }, cwd });
      await world.listens(3000);
      const why = await world.rebind(['why', '3000'], { cwd });
      assert.deepEqual([managerIn(why.json).kind, managerIn(why.json).confirmed], [kind, true], why.text);
      const freed = await world.rebind(['free', '3000'], { cwd });
      assert.equal(freed.status, 0, freed.text);
      assert.equal(freed.json.respawn, null);
      assert.equal(
        freed.json.steps.filter(({ remedy }: Document) => remedy === 'stop-process')[0].target.pid,
        managerIn(why.json).pid,
      );
      if (watcher.exitCode === null && watcher.signalCode === null)
        await once(watcher, 'exit', { signal: AbortSignal.timeout(10_000) });
    });

  test('a script of npm is named, and only its server is asked to end', async () => {
    await using world = await openWorld();
    const cwd = project(world, 3000);
    world.start(['npm', 'run', 'dev'], { env: { PATH: path, HOME: cwd }, cwd });
    await world.listens(3000);
    const why = await world.rebind(['why', '3000'], { cwd });
    assert.deepEqual([managerIn(why.json).kind, managerIn(why.json).name], ['npm', 'dev'], why.text);
    assert.equal((await world.rebind(['free', '3000'], { cwd })).status, 0);
  });

  test('what rebind hold keeps is left to it, with its own command as the advice', async () => {
    await using world = await openWorld();
    const cwd = project(world, 3000);
    world.start(
      [process.execPath, join(checkout, 'dist/cli/rebind.cjs'), 'hold', '3000', '--', process.execPath, 'server.js'],
      { cwd },
    );
    await world.until(
      [process.execPath, join(checkout, 'dist/cli/rebind.cjs'), 'wait', '3000', '--for', 'open', '--timeout', '10s'],
      { cwd },
    );
    const why = await world.rebind(['why', '3000'], { cwd });
    const [blocker] = why.json.blockers;
    assert.ok(
      blocker.holders.every(({ manager }: Document) => manager?.kind === 'hold'),
      why.text,
    );
    assert.equal(why.json.plan.at(-1).command, 'rebind hold 3000 --stop');
    const freed = await world.rebind(['free', '3000', '--yes'], { cwd });
    assert.equal(freed.status, 1);
    assert.ok(
      freed.json.steps.every(({ outcome }: Document) => outcome !== 'done'),
      freed.text,
    );
    await world.listens(3000);
  });

  test('a port that ssh -R forwards is told from the daemon, which goes on', {
    skip: lacks('sshd', 'ssh'),
  }, async () => {
    await using world = await openWorld();
    const { folder } = world;
    await world.must(['mkdir', '-p', '/run/sshd']);
    for (const name of ['key', 'host'])
      await world.must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
    const settings = [
      'Port 2200',
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/key.pub`,
      'StrictModes no',
      'PermitRootLogin yes',
      'UsePAM no',
    ];
    writeFileSync(join(folder, 'sshd.conf'), `${settings.join('\n')}\nPidFile ${folder}/sshd.pid\n`);
    await world.must(['/usr/sbin/sshd', '-f', join(folder, 'sshd.conf'), '-E', join(folder, 'log')]);
    mkdirSync(join(folder, 'home'));
    const quiet = ['-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${folder}/known`];
    world.start([
      'ssh',
      ...quiet,
      '-p',
      '2200',
      '-i',
      join(folder, 'key'),
      '-N',
      '-R',
      '2222:localhost:22',
      'root@127.0.0.1',
    ]);
    await world.listens(2222);
    const why = await world.rebind(['why', '127.0.0.1:2222']);
    assert.match(
      why.json.verdict.sentence,
      /it forwards the port for an ssh session of root \(ssh -R\), and ends with that session/,
    );
    const freed = await world.rebind(['free', '127.0.0.1:2222', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    await world.listens(2200);
  });
});
