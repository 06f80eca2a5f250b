/**
 * In a pid namespace of its own: a session ends, its number is given to a stranger, and the session is signalled. Prints what became of
 * the stranger. The argument `walk` is for kernels that cannot signal a group through a descriptor.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { processes } from '../../../src/os/linux/calls/pidfd.ts';
import { LinuxSession, sessions } from '../../../src/os/linux/calls/session.ts';

const walks = process.argv[2] === 'walk';

const leader = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
const { pid = 0 } = leader;
const identity = processes.identify(pid);
if (identity === null) throw new Error('The leader is gone');
const session = walks ? new LinuxSession(identity, processes.open(identity), [], false, false) : sessions.ofChild(pid);
if (session === null) throw new Error('The leader is gone');
leader.once('exit', () => session.leaderReaped());
leader.kill('SIGKILL');
await once(leader, 'exit');

for (let i = 0; i < 200; i++) {
  writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
  const stranger = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  if (stranger.pid !== pid) {
    stranger.kill('SIGKILL');
    await once(stranger, 'exit');
    continue;
  }
  const outcome = session.signal('SIGKILL');
  const members = session.members().length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  console.log(JSON.stringify({ outcome, members, lives: stranger.exitCode === null && stranger.signalCode === null }));
  stranger.kill('SIGKILL');
  await once(stranger, 'exit');
  break;
}
