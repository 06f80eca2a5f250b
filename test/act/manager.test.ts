/** Who runs a process: answered by programs of the same name that say what the real ones would. No systemd and no docker run where these tests do. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { findManagers, pm2Applications, publishes, stopManaged } from '../../src/act/manager.ts';
import type { Facts, Holder } from '../../src/model/facts.ts';
import { ask } from '../../src/model/judge.ts';
import type { Manager } from '../../src/model/step.ts';
import type { Os } from '../../src/os/os.ts';
import { facts, holder, port, request, socket } from '../model/facts.ts';

let folder: string;
let path: string | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rebind-manager-'));
  path = process.env['PATH'];
  // Nothing else: this machine may have one of them.
  process.env['PATH'] = folder;
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true });
});

/** A program that notes how it was called and answers. */
function program(name: string, answer: string, status = 0, complaint = ''): void {
  const script = `#!/bin/sh\necho "$@" >> ${folder}/${name}.calls\n${complaint === '' ? '' : `echo '${complaint}' >&2\n`}cat <<'END'\n${answer}\nEND\nexit ${status}\n`;
  writeFileSync(join(folder, name), script.replace('cat <<', '/bin/cat <<'), { mode: 0o755 });
}

function calls(name: string): string {
  return existsSync(join(folder, `${name}.calls`)) ? readFileSync(join(folder, `${name}.calls`), 'utf8') : '';
}

async function managerOf(
  of: Holder,
  more: Partial<Facts> = {},
  asker: Partial<Holder> = {},
  others: Holder[] = [],
): Promise<Manager | undefined> {
  const seen = facts({ sockets: [socket()], holders: new Map([[7001, [of, ...others]]]), ...more });
  const os = {
    processes: { identify: (pid: number) => ({ pid, startTicks: '1' }) },
    readProcess: ({ pid }: { pid: number }) =>
      pid === seen.asker.pid
        ? holder({ pid, ...asker })
        : holder({ pid, argv: ['PM2 v7.0.4: God Daemon (/home/ann/.pm2)'] }),
  } as unknown as Os;
  const question = ask(request(), seen, { errno: 'EADDRINUSE', port });
  return (await findManagers(os, question, undefined)).get(of.pid);
}

const shop = { unit: 'shop.service', parents: [{ pid: 1, command: 'systemd' }] };

describe('systemd', () => {
  test('the main process of a service is stopped through systemctl, with the socket units that would start it again', async () => {
    program('systemctl', 'MainPID=41\nTriggeredBy=shop.socket shop.timer');
    assert.deepEqual((await managerOf(holder(shop)))?.command, [
      'systemctl',
      'stop',
      '--',
      'shop.socket',
      'shop.service',
    ]);
  });

  test('so is a worker whose main process holds the socket too, or started it', async () => {
    program('systemctl', 'MainPID=40\nTriggeredBy=');
    const main = holder({ ...shop, pid: 40 });
    assert.equal((await managerOf(holder(shop), {}, {}, [main]))?.name, 'shop.service');
    const below = holder({
      ...shop,
      parents: [
        { pid: 39, command: 'sh' },
        { pid: 40, command: 'npm' },
        { pid: 1, command: 'systemd' },
      ],
    });
    assert.equal((await managerOf(below))?.name, 'shop.service');
  });

  test('what somebody started in a session of ssh is not run by the ssh service', async () => {
    program('systemctl', 'MainPID=40\nTriggeredBy=');
    const own = holder({
      unit: 'ssh.service',
      parents: [
        { pid: 45, command: 'bash' },
        { pid: 44, command: 'sshd-session' },
        { pid: 40, command: 'sshd' },
        { pid: 1, command: 'systemd' },
      ],
    });
    assert.equal(await managerOf(own), undefined);
  });

  test('a unit that this command runs in itself is left alone', async () => {
    program('systemctl', 'MainPID=41\nTriggeredBy=');
    assert.equal(await managerOf(holder(shop), {}, { unit: 'shop.service' }), undefined);
    assert.equal(calls('systemctl'), '');
  });

  test("a unit of the user's own manager is asked there", async () => {
    program('systemctl', 'MainPID=41\nTriggeredBy=');
    assert.deepEqual((await managerOf(holder({ ...shop, userUnit: true })))?.command, [
      'systemctl',
      '--user',
      'stop',
      '--',
      'shop.service',
    ]);
  });

  test('a socket that systemd itself holds belongs to the socket unit of that port', async () => {
    program(
      'systemctl',
      '[::]:30001 other.socket other.service\n0.0.0.0:3000 shop.socket shop.service\n/run/x.sock x.socket x.service',
    );
    const init = holder({ pid: 1, command: 'systemd', parents: [] });
    assert.deepEqual((await managerOf(init))?.command, ['systemctl', 'stop', '--', 'shop.socket']);
  });

  test('without systemctl, and for a scope, nobody manages it', async () => {
    assert.equal(await managerOf(holder(shop)), undefined);
    program('systemctl', 'MainPID=41');
    assert.equal(await managerOf(holder({ ...shop, unit: 'session-3.scope' })), undefined);
  });
});

describe('containers', () => {
  const container = { id: 'c0ffee'.repeat(10), name: 'web', runtime: 'docker' } as const;

  test('a process in a container is stopped with its container, by the program of its runtime', async () => {
    program('docker', '');
    assert.deepEqual((await managerOf(holder({ container })))?.command, ['docker', 'stop', container.id]);
    assert.equal((await managerOf(holder({ container: { ...container, runtime: 'podman' } })))?.command, null);
    assert.equal((await managerOf(holder({ container: { ...container, runtime: 'kubernetes' } })))?.kind, 'containerd');
  });

  test('inside of the same container it is an ordinary process', async () => {
    program('docker', '');
    assert.equal(await managerOf(holder({ container }), {}, { container }), undefined);
  });

  test('the forwarder of a published port stands for its container', async () => {
    program(
      'docker',
      `aaa\tother\t0.0.0.0:30001->80/tcp\n${container.id}\tweb\t0.0.0.0:3000->80/tcp, [::]:3000->80/tcp`,
    );
    for (const command of ['docker-proxy', 'rootlesskit']) {
      const found = await managerOf(holder({ command }));
      assert.deepEqual([found?.name, found?.command], ['web', ['docker', 'stop', container.id]]);
    }
  });

  test('a forwarder of a container that cannot be found is not killed', async () => {
    const unknown = await managerOf(holder({ command: 'rootlessport' }));
    assert.deepEqual([unknown?.kind, unknown?.command], ['podman', null]);
  });

  test('which ports a container publishes', () => {
    const is = (text: string, number: number, protocol: 'tcp' | 'udp' = 'tcp'): boolean =>
      publishes(text, { protocol, port: number });
    assert.ok(is('0.0.0.0:8080->80/tcp', 8080));
    assert.ok(is(':::8080->80/tcp', 8080));
    assert.ok(is('80/tcp, 0.0.0.0:9000-9005->9000-9005/udp', 9003, 'udp'));
    assert.ok(!is('0.0.0.0:9000-9005->9000-9005/udp', 9003));
    assert.ok(!is('0.0.0.0:18080->80/tcp', 8080));
    assert.ok(!is('8080/tcp', 8080));
    assert.ok(!is('', 8080));
  });
});

describe('pm2', () => {
  const parents = [
    { pid: 40, command: 'PM2 v7.0.4: God' },
    { pid: 1, command: 'init' },
  ];

  test('its applications are stopped by their number, in the home of the daemon that runs them', async () => {
    program(
      'pm2',
      'in-memory PM2 is out-of-date\n[{"pm_id":0,"name":"other","pid":5},{"pm_id":3,"name":"shop","pid":41}]',
    );
    const found = await managerOf(holder({ parents }));
    assert.deepEqual(found, {
      kind: 'pm2',
      name: 'shop',
      command: ['pm2', 'stop', '3'],
      env: { PM2_HOME: '/home/ann/.pm2' },
    });
  });

  test('an answer that cannot be read names nobody', async () => {
    for (const text of ['', '[{', '{}', '[{"pm_id":"x"}]']) assert.deepEqual(pm2Applications(text), []);
    program('pm2', 'garbage');
    assert.equal(await managerOf(holder({ parents })), undefined);
  });
});

describe('a manager that is asked', () => {
  const manager: Manager = {
    kind: 'systemd',
    name: 'shop.service',
    command: ['systemctl', 'stop', 'shop.service'],
    env: {},
  };

  test('did it', async () => {
    program('systemctl', '');
    assert.deepEqual(await stopManaged(manager, 1_000, undefined), { outcome: 'done', why: null });
    assert.equal(calls('systemctl'), 'stop shop.service\n');
  });

  test('refused it, and says why', async () => {
    program('systemctl', '', 4, 'Access denied');
    assert.deepEqual(await stopManaged(manager, 1_000, undefined), {
      outcome: 'failed',
      why: 'systemctl: Access denied',
    });
  });

  test('is not there', async () => {
    const { outcome, why } = await stopManaged(manager, 1_000, undefined);
    assert.equal(outcome, 'failed');
    assert.match(why ?? '', /ENOENT/);
  });
});
