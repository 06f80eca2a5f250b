/** `rebind reach <target>`. */
import type { ReachReport } from '../../causes/connect/index.ts';
import { os } from '../../os/index.ts';
import { type Plan, readPlan } from '../../reach/options.ts';
import { reachAs } from '../../reach/reach.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { canvas, type Io } from '../io.ts';
import { print, reachDocument } from '../json.ts';
import { enterNamespace } from '../namespace-flags.ts';
import { reachPicture } from '../reach-text.ts';
import { parseMilliseconds } from '../time.ts';
import { servicePort } from '../typed.ts';
import { UsageError } from '../usage.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const plan = planOf(invocation, io);
  await enterNamespace(invocation);
  const report = await reachAs(plan, os());
  io.stdout.write(invocation.flag('json') ? print(reachDocument(report)) : reachPicture(report, canvas(io), io.now()));
  const code = exitOf(report);
  // The resolver is still asked.
  if (isUnresolved(report)) (await os().reaching()).exitNow(code);
  return code;
}

/** The look-up was given up, not answered. */
function isUnresolved({ addresses, errno, target }: ReachReport): boolean {
  return target.protocol !== 'unix' && addresses.length === 0 && errno === 'ETIMEDOUT';
}

function exitOf({ reachable }: ReachReport): number {
  if (reachable === null) return exit.unknown;
  return reachable ? exit.ok : exit.blocked;
}

function planOf(invocation: Invocation, io: Io): Plan {
  const [word = ''] = invocation.operands;
  const timeout = invocation.value('timeout');
  try {
    return readPlan(servicePort(word) ?? word, {
      request: invocation.flag('request'),
      connect: invocation.flag('connect'),
      signal: io.signal,
      ...(timeout !== undefined && { timeoutMs: parseMilliseconds(timeout, 'timeout') }),
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const both = invocation.flag('request') === true && invocation.flag('connect') === false;
    throw new UsageError(both ? '--request needs a connection, so it does not go with --no-connect' : error.message, {
      cause: error,
    });
  }
}
