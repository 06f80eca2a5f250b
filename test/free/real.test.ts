/**
 * Real servers and real supervisors, where they are installed.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from '../../src/stage/actor-process.ts';
import { namespaceCommand, namespaceEnvironment } from '../../src/stage/namespace.ts';
import { findProgram, missing } from '../../src/stage/needs.ts';
import { openStage } from '../../src/stage/open.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { isRoot, openWorld, outcomes, rebind, type World } from './world.ts';

const modules = fileURLToPath(new URL('../../../node_modules/', import.meta.url));

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

function installed(program: string): string | false {
  return findProgram(program) === null ? `${program} is not installed` : false;
}

async function assertBindable(port: number): Promise<void> {
  const server = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
  await once(server, 'listening');
  server.close();
}

const server = (port: number): string =>
  `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready', process.pid))`;

describe('real servers', () => {
  test('nginx with its workers', { skip: installed('nginx') }, async () => {
    const port = stage.freePort();
    const configuration = join(world.directory, 'nginx.conf');
    writeFileSync(
      configuration,
      `daemon off; pid ${world.directory}/nginx.pid; error_log stderr notice; worker_processes 3;
       ${isRoot ? 'user root;' : ''}
       events { worker_connections 64; }
       http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${world.directory}/${name};`).join(' ')}
         server { listen 127.0.0.1:${port}; } }`,
    );
    const nginx = await world.run(
      [findProgram('nginx') ?? '', '-p', world.directory, '-c', configuration],
      /start worker process \d+[\s\S]*start worker process \d+[\s\S]*start worker process \d+/,
    );
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`, '--yes']);
    assert.equal(status, 0, JSON.stringify(json));
    const stops = json.steps.filter((step: { remedy: string }) => step.remedy === 'stop-process');
    assert.equal(stops.length, 4);
    assert.ok(stops.every((step: { outcome: string }) => step.outcome !== 'failed' && step.outcome !== 'refused'));
    await assertBindable(port);
    if (nginx.isAlive()) await once(nginx.child, 'exit');
  });

  test('redis, with a client', { skip: installed('redis-server') }, async () => {
    const port = stage.freePort();
    const redis = await world.run(
      [
        'redis-server',
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--dir',
        world.directory,
        '--daemonize',
        'no',
      ],
      /Ready to accept connections/,
    );
    const client = await world.node(
      `const s = require('net').connect(${port}, '127.0.0.1', () => console.log('ready')); s.on('close', () => setInterval(() => {}, 1e6)); s.on('error', () => {})`,
    );
    const { status } = await rebind(['free', `127.0.0.1:${port}`, '--yes']);
    assert.equal(status, 0);
    await assertBindable(port);
    assert.ok(client.isAlive());
    if (redis.isAlive()) await once(redis.child, 'exit');
  });

  test('postgres', { skip: installed('postgres'), timeout: 120_000 }, async () => {
    const port = stage.freePort();
    const data = join(world.directory, 'data');
    mkdirSync(data);
    const user = isRoot ? accountOf('postgres') : null;
    if (user !== null) {
      chmodSync(world.directory, 0o755);
      chownSync(data, user.uid, user.gid);
    }
    const programs = execFileSync('readlink', ['-f', findProgram('postgres') ?? ''], { encoding: 'utf8' })
      .trim()
      .replace(/\/postgres$/, '');
    execFileSync(join(programs, 'initdb'), ['-D', data, '-A', 'trust', '--no-sync'], {
      ...user,
      env: plainEnvironment(),
      stdio: 'ignore',
      cwd: '/',
    });
    const postgres = await world.run(
      [
        join(programs, 'postgres'),
        '-D',
        data,
        '-p',
        String(port),
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        `unix_socket_directories=${data}`,
        '-c',
        'fsync=off',
      ],
      /ready to accept connections/,
      { ...user, cwd: '/' },
    );
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`, '--yes']);
    assert.equal(status, 0, JSON.stringify(json));
    await assertBindable(port);
    if (postgres.isAlive()) await once(postgres.child, 'exit');
    assert.match(postgres.printed(), /database system is shut down/);
  });

  test('systemd-socket-activate', { skip: missing(['systemd-socket-activate']) ?? false }, async () => {
    const port = stage.freePort();
    const holder = await world.run(
      [findProgram('systemd-socket-activate') ?? '', '-l', `127.0.0.1:${port}`, 'cat'],
      /Listening on/,
    );
    const { status } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(status, 0);
    await assertBindable(port);
    await holder.ended();
  });
});

describe('a program that restarts it', () => {
  test('a loop in a shell is named', async () => {
    const port = stage.freePort();
    const script = join(world.directory, 'loop.sh');
    writeFileSync(script, `while test -e "$0"; do "${process.execPath}" -e "${server(port)}"; done\n`);
    const loop = await world.run(['sh', script], /ready/);
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(status, 1, JSON.stringify(json));
    assert.equal(json.bindable, false);
    assert.equal(json.respawn.command, 'node');
    assert.equal(json.respawn.supervisor.pid, loop.pid);
    assert.deepEqual(json.respawn.supervisor.argv, ['sh', script]);
    // Takes the loop and its server along.
    process.kill(json.respawn.supervisor.pid, 'SIGKILL');
    process.kill(json.respawn.pid, 'SIGKILL');
  });

  test('node --watch is stopped with its program, because it would start it again', async () => {
    const port = stage.freePort();
    const file = join(world.directory, 'server.js');
    writeFileSync(file, server(port));
    const watcher = await world.run([process.execPath, '--watch', file], /ready \d+/);
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(status, 0, JSON.stringify(json));
    await watcher.ended();
    await assertBindable(port);
  });

  test('nodemon does not start it again either, until a file changes', {
    skip: !existsSync(join(modules, 'nodemon')) && 'nodemon is not installed',
  }, async () => {
    const port = stage.freePort();
    const file = join(world.directory, 'server.js');
    writeFileSync(file, server(port));
    const nodemon = await world.run([process.execPath, join(modules, 'nodemon/bin/nodemon.js'), file], /ready \d+/);
    const { json } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(json.bindable, json.respawn === null);
    if (json.respawn !== null) assert.equal(json.respawn.supervisor.pid, nodemon.pid);
  });

  test('pm2 is asked to stop its application', {
    skip: !existsSync(join(modules, 'pm2')) && 'pm2 is not installed',
    timeout: 60_000,
  }, async () => {
    const port = stage.freePort();
    const file = join(world.directory, 'server.js');
    writeFileSync(file, server(port));
    const folder = join(world.directory, 'bin');
    mkdirSync(folder);
    const pm2 = join(folder, 'pm2');
    writeFileSync(pm2, `#!/bin/sh\nexec "${process.execPath}" "${join(modules, 'pm2/bin/pm2')}" "$@"\n`, {
      mode: 0o755,
    });
    const env = { PM2_HOME: join(world.directory, 'pm2'), PATH: `${folder}:${process.env['PATH']}` };
    const run = (...args: string[]): string =>
      execFileSync(pm2, args, { env: { ...plainEnvironment(), ...env }, encoding: 'utf8', timeout: 30_000 });
    try {
      run('start', file, '--name', 'shop');
      await stage.settled(port, (states) => states.includes('LISTEN'));
      const without = await rebind(['free', `127.0.0.1:${port}`], { env: { PATH: env.PATH } });
      assert.equal(without.status, 1);
      assert.match(
        without.json.steps.find((step: { remedy: string }) => step.remedy === 'stop-unit').why,
        /pm2 runs it/,
      );
      const { status, json } = await rebind(['free', `127.0.0.1:${port}`, '--yes'], { env: { PATH: env.PATH } });
      assert.equal(status, 0, JSON.stringify(json));
      assert.ok(outcomes(json).includes('stop-unit done'));
      assert.equal(json.respawn, null);
      assert.match(run('jlist'), /"status":"stopped"/);
    } finally {
      run('kill');
    }
  });

  test('podman is asked to stop its container, and its forwarder is left alone', {
    skip: missing(['podman']) ?? false,
    timeout: 120_000,
  }, async () => {
    // In a namespace of its own, because podman changes the rules of the network.
    const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const program = `
      import { raiseLoopback } from ${at('../../src/stage/namespace.js')};
      import { openStage } from ${at('../../src/stage/open.js')};
      import { rebind } from ${at('./world.js')};
      import { existsSync } from 'node:fs';
      raiseLoopback();
      const stage = openStage();
      try {
        const port = stage.freePort();
        const { pid, name } = await stage.container(port);
        const without = await rebind(['free', '127.0.0.1:' + port]);
        const running = existsSync('/proc/' + pid);
        const { status, json } = await rebind(['free', '127.0.0.1:' + port, '--yes']);
        console.log('result ' + JSON.stringify({ without: without.json.steps, running, name, status, json }));
      } finally {
        await stage[Symbol.asyncDispose]();
      }`;
    const running = await world.run(
      [...(namespaceCommand() ?? []), process.execPath, '--input-type=module', '-e', program],
      /^result .*\n/m,
      { env: namespaceEnvironment() as Record<string, string> },
    );
    const result = JSON.parse(/^result (.*)$/m.exec(running.printed())?.[1] ?? '');
    assert.equal(result.without[0].outcome, 'refused');
    assert.equal(result.running, true);
    assert.equal(result.status, 0, JSON.stringify(result.json));
    assert.deepEqual(outcomes(result.json), ['stop-container done']);
    assert.equal(result.json.steps[0].target.name, result.name);
    if (running.isAlive()) await once(running.child, 'exit');
  });
});

function accountOf(name: string): { uid: number; gid: number } {
  const number = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: number('-u'), gid: number('-g') };
}
