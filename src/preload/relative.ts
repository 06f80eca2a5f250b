/**
 * Blockers that are of the same family: this very process, and the workers of the same test run. "End that process" would be bad advice there.
 */
import { formatAddress } from '../model/address.ts';
import type { BlockerHolder, Report } from '../model/verdict.ts';

/** What is asked of `process`. */
interface Asking {
  readonly pid: number;
  readonly ppid: number;
  readonly env: NodeJS.ProcessEnv;
}

/** Variables by which test runners tell a worker that it is one. */
const testWorkers: Readonly<Record<string, string>> = {
  JEST_WORKER_ID: 'jest',
  VITEST_WORKER_ID: 'vitest',
  VITEST_POOL_ID: 'vitest',
  NODE_TEST_CONTEXT: 'node --test',
  MOCHA_WORKER_ID: 'mocha',
  AVA_PATH: 'ava',
};

/** The lines that take the place of the verdict's; null when the blocker is a stranger. */
export function relative(report: Report, asking: Asking): string[] | null {
  if (report.errno !== 'EADDRINUSE') return null;
  const holders = report.blockers.flatMap((blocker) => blocker.holders);
  const [where = ''] = report.blockers.map(({ protocol, local }) =>
    protocol === 'unix' ? local.address : formatAddress(local.address, local.port),
  );
  if (holders.some(({ pid }) => pid === asking.pid))
    return [
      `This very process (pid ${asking.pid}) has ${where} open already: listen was called twice, or by two parts of the program`,
      'Call it once: often the file that makes the app listens, and the file that starts it (bin/www, a test) does so again',
    ];
  const runner = Object.keys(testWorkers).find((name) => asking.env[name] !== undefined);
  const sibling = holders.find((holder) => isSibling(holder, asking));
  if (runner === undefined || sibling === undefined) return null;
  return [
    `Another worker of the same test run (${testWorkers[runner]}, pid ${sibling.pid}) has ${where} open: test files that run side by side cannot share a port`,
    'Let each test listen on port 0 and read the port from server.address(), or run the files one after the other',
  ];
}

function isSibling({ pid, parents }: BlockerHolder, asking: Asking): boolean {
  return pid !== asking.ppid && parents[0]?.pid === asking.ppid;
}
