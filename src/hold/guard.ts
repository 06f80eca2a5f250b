/**
 * No child outlives hold, even when hold is killed with SIGKILL: a shell waits for the end of a pipe, and then ends the
 * sessions that hold told it about. It works for every language, holds no socket, and takes 2 MB.
 *
 * By then a number may belong to somebody else. So the shell starts a program that proves whom it ends (guard-program.ts). Where
 * that cannot start, the shell itself compares the start time of each leader, and leaves alone what it cannot prove.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ProcessIdentity } from '../model/facts.ts';

const program = fileURLToPath(new URL('../hold/guard-program.js', import.meta.url));

/** Each line replaces the one before: sessions, each with its leader first, as PID:START,PID:START. A line that was cut off counts for nothing. */
/** @internal */
export const script = `
trap '' INT TERM HUP QUIT
sessions=
while read -r line; do sessions=$line; done
[ -z "$sessions" ] && exit
NODE_OPTIONS= "$1" "$2" $sessions && exit
end() {
  for session in $sessions; do
    leader=\${session%%,*}
    read -r stat 2>/dev/null <"/proc/\${leader%%:*}/stat" || continue
    set -- \${stat##*) }
    [ "\${20}" = "\${leader#*:}" ] && kill "$signal" "-\${leader%%:*}" 2>/dev/null
  done
}
signal=-TERM
end
sleep 2
signal=-KILL
end
`;

export class Guard {
  readonly #shell: ChildProcess;
  readonly #sessions = new Map<string, readonly ProcessIdentity[]>();

  constructor() {
    // In a session of its own: what ends hold's process group must not end its guard.
    this.#shell = spawn('/bin/sh', ['-c', script, 'rebind-guard', process.execPath, program], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    });
    // Without a shell there is no guard; Node programs still notice that hold is gone.
    this.#shell.on('error', () => {});
    this.#shell.stdin?.on('error', () => {});
    this.#shell.unref();
    (this.#shell.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  }

  get pid(): number | undefined {
    return this.#shell.pid;
  }

  /** From now on this session ends with hold. Call it again with what is in it when its leader has exited: that is the proof then. */
  watch(leader: ProcessIdentity, members: readonly ProcessIdentity[] = []): void {
    this.#sessions.set(word(leader), members);
    this.#tell();
  }

  /** The session is gone, and its number may be somebody else's soon. */
  forget(leader: ProcessIdentity): void {
    if (this.#sessions.delete(word(leader))) this.#tell();
  }

  close(): void {
    this.#shell.stdin?.end();
  }

  #tell(): void {
    const sessions = [...this.#sessions].map(([leader, members]) => [leader, ...members.map(word)].join(','));
    this.#shell.stdin?.write(`${sessions.join(' ')}\n`);
  }
}

function word({ pid, started }: ProcessIdentity): string {
  return `${pid}:${started}`;
}
