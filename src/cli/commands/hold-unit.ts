/** `rebind hold --unit`: a socket unit and a service unit that do what this command line does. */
import { addressesOf } from '../../ask/request.ts';
import { defaults, type StopSignal } from '../../hold/settings.ts';
import { adoptPath, findCommand, requireOption } from '../../hold/spawn.ts';
import { quoted } from '../../model/text.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { endpoint, time } from '../hold-arguments.ts';
import type { Io } from '../io.ts';
import { print } from '../json.ts';
import { type UnitOptions, type Units, units } from '../systemd-units.ts';
import { UsageError } from '../usage.ts';

export async function unit(command: readonly string[], invocation: Invocation, io: Io): Promise<number> {
  if (invocation.operands.length === 0) throw new UsageError('--unit needs an endpoint: systemd cannot learn one');
  const found = findCommand(command[0] ?? '', process.env, process.cwd());
  if (found.path === null)
    throw new UsageError(`There is no command ${quoted(command[0] ?? '')}: systemd needs the path of a program`);
  const endpoints = await Promise.all(invocation.operands.map(async (word) => (await addressesOf(endpoint(word)))[0]));
  const pair = unitsOf({
    endpoints: endpoints.filter((endpoint) => endpoint !== undefined),
    command,
    program: found.path,
    cwd: process.cwd(),
    graceMs: time(invocation, 'grace') ?? defaults.graceMs,
    stopSignal: (invocation.value('stop-signal') ?? defaults.stopSignal) as StopSignal,
    nodeOptions: requireOption(adoptPath),
  });
  if (invocation.flag('json')) io.stdout.write(print({ schema: 1, ...pair }));
  else
    io.stdout.write(
      `# /etc/systemd/system/${pair.name}.socket\n${pair.socket}\n# /etc/systemd/system/${pair.name}.service\n${pair.service}`,
    );
  return exit.ok;
}

function unitsOf(options: UnitOptions): Units {
  try {
    return units(options);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
