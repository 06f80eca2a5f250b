/**
 * `ps -axww -o …`: every process, with the one text column that may hold blanks at the end.
 */

export interface PsProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly uid: number;
  /** The first letter of ps(1): I, R, S, T, U, Z. */
  readonly state: string;
  /** Milliseconds since 1970, whole seconds. */
  readonly startedAtMs: number;
  /** What `column` names: the program's file, or the command line. */
  readonly text: string;
}

export function psArguments(column: 'comm' | 'command'): string[] {
  return ['-axww', '-o', `pid=,ppid=,pgid=,uid=,stat=,lstart=,${column}=`];
}

/** `lstart` is `Thu Nov 26 00:40:37 2026`, in local time. */
const line =
  /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([A-Z])\S*\s+(\w{3} \w{3} {1,2}\d{1,2} \d{2}:\d{2}:\d{2} \d{4})\s(.*)$/;

export function parsePs(text: string): PsProcess[] {
  const found: PsProcess[] = [];
  for (const each of text.split('\n')) {
    const [, pid, parent, group, uid, state, started = '', rest = ''] = line.exec(each) ?? [];
    if (pid === undefined || state === undefined) continue;
    const startedAtMs = Date.parse(started);
    if (Number.isNaN(startedAtMs)) continue;
    found.push({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      uid: Number(uid),
      state,
      startedAtMs,
      text: rest.trim(),
    });
  }
  return found;
}
