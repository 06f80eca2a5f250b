import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { script } from '../../../src/hold/guard.ts';
import { processes } from '../../../src/os/linux/calls/pidfd.ts';
import { LinuxSession, sessions } from '../../../src/os/linux/calls/session.ts';
import type { Session } from '../../../src/os/sessions.ts';

const program = fileURLToPath(new URL('./session-program.js', import.meta.url));
const guardProgram = fileURLToPath(new URL('../../../src/hold/guard-program.js', import.meta.url));
const noNamespace = spawnSync('unshare', ['-Urpf', '--mount-proc', 'true']).status !== 0 && 'needs user namespaces';

const ways = [
  ['through the descriptor of the group', true],
  ['member by member', false],
] as const;

/** A shell that leads a session of its own, once it has said that it is up. */
async function shell(text: string, byGroup: boolean): Promise<{ child: ChildProcess; session: Session }> {
  const child = spawn('bash', ['-c', text], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const identity = processes.identify(child.pid ?? 0);
  assert(identity !== null);
  const session = byGroup
    ? sessions.ofChild(identity.pid)
    : new LinuxSession(identity, processes.open(identity), [], false, false);
  assert(session !== null);
  child.once('exit', () => session.leaderReaped());
  return { child, session };
}

async function isEmpty(session: Session): Promise<void> {
  for (let i = 0; session.members().length > 0; i++) {
    assert.ok(i < 200, 'processes are left');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const [name, byGroup] of ways) {
  test(`a session whose number belongs to somebody else now is gone, and the stranger lives: ${name}`, {
    skip: noNamespace,
  }, () => {
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['-Urpf', '--mount-proc', process.execPath, program, ...(byGroup ? [] : ['walk'])],
      { encoding: 'utf8', timeout: 30_000 },
    );
    assert.deepEqual(JSON.parse(stdout || 'null'), { outcome: 'gone', members: 0, lives: true }, stderr);
  });

  test(`what is left when the leader has exited is signalled: ${name}`, async () => {
    const { child, session } = await shell('sleep 600 & echo up; wait', byGroup);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(session.members().length, 1);
    assert.equal(session.signal('SIGTERM'), 'sent');
    await isEmpty(session);
    session.close();
    assert.equal(session.signal('SIGTERM'), 'gone');
  });

  test(`other groups of the session, as a shell with job control makes, are signalled too: ${name}`, async () => {
    const { session } = await shell('set -m; sleep 600 & sleep 600 & echo up; wait', byGroup);
    assert.equal(session.members().length, 3);
    session.signal('SIGKILL');
    await isEmpty(session);
    session.close();
  });

  test(`a tree that forks faster than it is walked ends: ${name}`, async () => {
    const { session } = await shell(
      'echo up; f() { sleep 0.01; f & }; for i in 1 2 3 4 5 6 7 8; do f & done; wait',
      byGroup,
    );
    session.signal('SIGKILL');
    await isEmpty(session);
    session.close();
  });
}

/** Starts a `sleep` in a session of its own and lets the guard believe this start time. */
async function guarded(end: (word: string) => void, startOf: (ticks: string) => string): Promise<boolean> {
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  const { pid = 0 } = child;
  end(`${pid}:${startOf(processes.identify(pid)?.started ?? '')}`);
  const ended = await Promise.race([
    once(child, 'exit').then(() => true),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
  ]);
  child.kill('SIGKILL');
  return ended;
}

for (const [name, end] of [
  ['by its program', (word: string) => spawnSync(process.execPath, [guardProgram, word])],
  [
    'by its shell alone',
    (word: string) =>
      spawnSync('/bin/sh', ['-c', script.replace('sleep 2', 'sleep 0.1'), 'guard', '/no/such/node', 'none'], {
        input: `1:1\n${word}\n1:2`,
      }),
  ],
] as const)
  test(`the guard that outlives hold stops what it was told of, and no process that has reused that pid: ${name}`, async () => {
    assert.equal(await guarded(end, (ticks) => ticks), true);
    assert.equal(await guarded(end, (ticks) => String(Number(ticks) - 1)), false);
  });
