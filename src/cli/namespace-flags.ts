/** `--pid` and `--container`: from where `reach` looks. */
import { isNativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import type { Invocation } from './command.ts';
import { UsageError } from './usage.ts';

/**
 * Goes into the network namespace that the flags name; nothing without them.
 *
 * @throws {UsageError} also where the system refuses.
 */
export async function enterNamespace(invocation: Invocation): Promise<void> {
  const container = invocation.value('container');
  const text = invocation.value('pid');
  if (container !== undefined && text !== undefined) throw new UsageError('--pid and --container do not go together');
  if (container === undefined && text === undefined) return;
  if (text !== undefined && !/^[1-9]\d{0,9}$/.test(text)) throw new UsageError('--pid takes the number of a process');
  const pid = text === undefined ? await pidOfContainer(container ?? '') : Number(text);
  const identity = os().processes.identify(pid);
  if (identity === null) throw new UsageError(`There is no process ${pid}`);
  try {
    (await os().reaching()).enterNamespaceOf(identity);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    const reason = error.code === 'EPERM' || error.code === 'EACCES' ? 'only root may' : error.code;
    throw new UsageError(`Cannot look from inside the network namespace of process ${pid}: ${reason}`, {
      cause: error,
    });
  }
}

/** The first process of a container, by the engine that has it. */
async function pidOfContainer(name: string): Promise<number> {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) throw new UsageError('--container takes the name or id of a container');
  const { execFile } = process.getBuiltinModule('node:child_process');
  for (const engine of ['docker', 'podman']) {
    const pid = await new Promise<number>((resolve) => {
      execFile(
        engine,
        ['inspect', '--type', 'container', '--format', '{{.State.Pid}}', name],
        { timeout: 5_000 },
        (error, stdout) => resolve(error === null ? Number(stdout.trim()) : 0),
      );
    });
    if (Number.isInteger(pid) && pid > 0) return pid;
  }
  throw new UsageError(`No running container is named "${name}" (asked docker and podman)`);
}
