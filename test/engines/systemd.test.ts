/** A real systemd: services, sockets, a user's own manager, and how it looks from outside of its container. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { units } from '../../src/cli/systemd-units.ts';
import { bootSystemd, checkout, lacks, type World } from './world.ts';

const skip = lacks('systemd-nspawn', 'nsenter', 'ss');
/** Beside the units, where the container sees it. */
const server = (port: number): string => `${process.execPath} /etc/systemd/system/server.cjs ${port}`;

/** What a unit file, a shell or a path could read as something else than itself. */
const odd = `a b\t100% %n $HOME \${HOME} "q" 'q' \\n \\ # ; é 日`;
const printing = units({
  endpoints: [
    { protocol: 'unix', path: `/run/${odd.replace('\t', ' ')}.sock` },
    { protocol: 'unix', path: '\0rebind-%n-$HOME' },
    { protocol: 'tcp', address: '127.0.0.1', port: 5000 },
  ],
  command: ['node', '/etc/systemd/system/print.cjs', odd, ';', '-x', '', 'line\nline\r', '\u0085'],
  program: process.execPath,
  cwd: `/run/${odd.replace('\t', ' ')}\\`,
  graceMs: 10_000,
  stopSignal: 'SIGTERM',
  nodeOptions: '--title="%n $HOME \\"q\\" \\\\n é"',
});

const files = {
  'print.socket': printing.socket,
  'print.service': printing.service,
  'print.cjs': `const { argv, env } = process;
    const linked = require('node:fs').readFileSync('/proc/net/unix', 'utf8');
    const seen = { argv: argv.slice(2), cwd: process.cwd(), options: env.NODE_OPTIONS, descriptors: env.LISTEN_FDS, linked };
    require('node:fs').writeFileSync('/run/print.new', JSON.stringify(seen));
    require('node:fs').renameSync('/run/print.new', '/run/print.json');
    setInterval(() => {}, 1000);\n`,
  'shop.service': `[Service]\nExecStart=${server(3000)}\nRestart=always\nRestartSec=100ms\n`,
  'activated.socket': '[Socket]\nListenStream=4000\n',
  'activated.service': '[Service]\nExecStart=/usr/bin/sleep infinity\n',
  'forked.service': `[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '${server(3100)} &'\n`,
  'server.cjs': 'require("node:http").createServer((_, answer) => answer.end()).listen(Number(process.argv[2]));\n',
};

describe('systemd', { skip }, () => {
  let world: World;
  before(async () => {
    world = await bootSystemd(files);
  });
  after(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  test('a service is named, and stopped by its unit, so that it does not come back', async () => {
    await world.must(['systemctl', 'start', 'shop.service']);
    await world.listens(3000);
    const why = await world.rebind(['why', '3000']);
    assert.deepEqual(why.json.blockers[0].holders[0].manager, {
      kind: 'systemd',
      name: 'shop.service',
      pid: null,
      confirmed: true,
    });
    assert.equal(why.json.plan.at(-1).command, 'systemctl stop shop.service');
    const plan = await world.rebind(['free', '3000', '--dry-run']);
    assert.deepEqual(plan.json.steps.map(({ target }: { target: object }) => target).at(-1), {
      kind: 'manager',
      manager: 'systemd',
      name: 'shop.service',
      pids: [why.json.blockers[0].holders[0].pid],
    });
    assert.equal((await world.rebind(['free', '3000'])).status, 1, 'without a yes it stays');
    const freed = await world.rebind(['free', '3000', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    assert.equal((await world.run(['systemctl', 'is-active', 'shop.service'])).stdout, 'inactive\n');
  });

  test('what hold --unit printed starts the command with exactly its words, directory, sockets and environment', async () => {
    const cwd = `/run/${odd.replace('\t', ' ')}\\`;
    await world.must(['mkdir', '-p', cwd]);
    await world.must(['systemctl', 'start', 'print.service']);
    await world.until(['test', '-f', '/run/print.json']);
    const seen = JSON.parse(await world.must(['cat', '/run/print.json']));
    await world.must(['systemctl', 'stop', 'print.service', 'print.socket']);
    assert.deepEqual(seen.argv, [odd, ';', '-x', '', 'line\nline\r', '\u0085']);
    assert.equal(seen.cwd, cwd);
    assert.equal(seen.options, '--title="%n $HOME \\"q\\" \\\\n é"');
    assert.equal(seen.descriptors, '3');
    assert.ok(seen.linked.includes(`/run/${odd.replace('\t', ' ')}.sock`));
    assert.ok(seen.linked.includes('@rebind-%n-$HOME'));
  });

  test('a socket unit is stopped, and process 1 is not asked', async () => {
    await world.must(['systemctl', 'start', 'activated.socket']);
    const why = await world.rebind(['why', '4000']);
    assert.equal(why.json.verdict.cause, 'socket-unit');
    assert.equal(why.json.plan.at(-1).command, 'systemctl stop activated.socket');
    const freed = await world.rebind(['free', '4000', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    assert.deepEqual(freed.json.steps.map(({ remedy }: { remedy: string }) => remedy).at(-1), 'stop-unit');
  });

  test('a socket and the service that it started are stopped together', async () => {
    await world.must(['systemctl', 'start', 'activated.socket', 'activated.service']);
    const freed = await world.rebind(['free', '4000', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    for (const unit of ['activated.socket', 'activated.service'])
      assert.equal((await world.run(['systemctl', 'is-active', unit])).stdout, 'inactive\n');
  });

  test('what forked away from a service belongs to it', async () => {
    await world.must(['systemctl', 'start', 'forked.service']);
    await world.listens(3100);
    const freed = await world.rebind(['free', '3100', '--yes']);
    assert.equal(freed.status, 0, freed.text);
    assert.equal(freed.json.steps.at(-1).target.name, 'forked.service');
  });

  test('from outside of its container it is no unit of the machine', async () => {
    await world.must(['systemctl', 'start', 'shop.service']);
    await world.listens(3000);
    const { spawnSync } = await import('node:child_process');
    const words = [
      '--target',
      `${world.init}`,
      '--net',
      '--',
      process.execPath,
      join(checkout, 'dist/cli/rebind.cjs'),
      'why',
      '3000',
      '--json',
    ];
    const { stdout } = spawnSync('nsenter', words, { encoding: 'utf8' });
    const [holder] = JSON.parse(stdout).blockers[0].holders;
    assert.equal(holder.unit, null);
    assert.deepEqual([holder.manager?.kind, holder.manager?.name, holder.manager?.confirmed], ['systemd', null, false]);
    assert.doesNotMatch(stdout, /systemctl stop/);
    await world.must(['systemctl', 'stop', 'shop.service']);
  });

  test("a user's own service is stopped by that user, also by way of sudo, and root alone does not ask it", async () => {
    const uid = 4321;
    await world.must([
      'sh',
      '-c',
      `echo 'ann:x:${uid}:${uid}::/home/ann:/bin/sh' >>/etc/passwd && echo 'ann:x:${uid}:' >>/etc/group && echo 'ann:*:19000::::::' >>/etc/shadow`,
    ]);
    await world.must([
      'sh',
      '-c',
      `mkdir -p /home/ann/.config/systemd/user /run/user/${uid} && chown -R ${uid}:${uid} /home/ann /run/user/${uid} && chmod 700 /run/user/${uid}`,
    ]);
    await world.must([
      'sh',
      '-c',
      `cat >/home/ann/.config/systemd/user/mine.service <<'END'\n[Service]\nExecStart=${server(3200)}\nRestart=always\nEND`,
    ]);
    await world.must(['systemctl', 'start', `user@${uid}.service`]);
    const ann = { uid, env: { HOME: '/home/ann', XDG_RUNTIME_DIR: `/run/user/${uid}` } };
    await world.until(['systemctl', '--user', 'start', 'mine.service'], ann);
    await world.listens(3200);
    const asRoot = await world.rebind(['why', '3200']);
    const { manager } = asRoot.json.blockers[0].holders[0];
    assert.deepEqual([manager.kind, manager.confirmed], ['systemd', false]);
    const asAnn = await world.rebind(['why', '3200'], ann);
    assert.equal(asAnn.json.plan.at(-1).command, 'systemctl --user stop mine.service', asAnn.text);
    const bySudo = await world.rebind(['free', '3200', '--yes'], { env: { SUDO_UID: `${uid}` } });
    assert.equal(bySudo.status, 0, bySudo.text);
    assert.equal(bySudo.json.steps.at(-1).target.name, 'mine.service');
    assert.equal((await world.run(['systemctl', '--user', 'is-active', 'mine.service'], ann)).stdout, 'inactive\n');
  });
});
