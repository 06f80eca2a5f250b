/**
 * No child outlives hold, even when hold is killed with SIGKILL: a shell waits for the end of a pipe, and then ends the
 * process groups that hold had told it about. It works for every language, on every Unix, and holds no socket.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Between the request and the order to end. */
const afterwardsSeconds = 2;

const script = `
trap '' INT TERM HUP QUIT
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
[ "$groups" = ' ' ] && exit
for group in $groups; do kill -TERM "-$group" 2>/dev/null; done
sleep ${afterwardsSeconds}
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
`;

export class Guard {
  readonly #shell: ChildProcess;

  constructor() {
    // In a session of its own: what ends hold's process group must not end its guard.
    this.#shell = spawn('/bin/sh', ['-c', script, 'rebind-guard'], {
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

  /** From now on this process group ends with hold. */
  watch(group: number): void {
    this.#shell.stdin?.write(`+ ${group}\n`);
  }

  /** The group is gone, and its number may be somebody else's soon. */
  forget(group: number): void {
    this.#shell.stdin?.write(`- ${group}\n`);
  }

  close(): void {
    this.#shell.stdin?.end();
  }
}
