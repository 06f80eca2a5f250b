/**
 * Who writes a file: processes that have it open for writing.
 */
import { attempt, type Proc } from './proc.ts';

/** O_ACCMODE of open(2); 0 is O_RDONLY. */
const accessMode = 0o3;
/** Descriptors of one process that are looked at. */
const mostDescriptors = 4_096;

/** Those of these processes that have the file open for writing (proc_pid_fd(5), proc_pid_fdinfo(5)). @param path Without links */
export function writersOf(proc: Proc, pids: readonly number[], path: string): number[] {
  return pids.filter((pid) =>
    (attempt(() => proc.list(`${pid}/fd`)) ?? []).slice(0, mostDescriptors).some((descriptor) => {
      if (attempt(() => proc.link(`${pid}/fd/${descriptor}`)) !== path) return false;
      const info = attempt(() => proc.text(`${pid}/fdinfo/${descriptor}`)) ?? '';
      return (Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8) & accessMode) !== 0;
    }),
  );
}
