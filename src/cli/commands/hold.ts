/** `rebind hold [endpoint...] -- command`, and its questions to a running hold. */
import { isatty } from 'node:tty';
import { isBlockedPortError } from '../../errors.ts';
import { type Hold, type HoldOptions, hold } from '../../hold/index.ts';
import { defaults, type StopSignal } from '../../hold/settings.ts';
import { findCommand } from '../../hold/spawn.ts';
import { receivedDescriptors, whyNoCount } from '../../hold/wire/listen-fds.ts';
import type { ReadyBy } from '../../hold/wire/passed.ts';
import { escapeText, quoted } from '../../model/text.ts';
import { demand } from '../../os/capabilities.ts';
import { os } from '../../os/index.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { heldEndpoint, port, time } from '../hold-arguments.ts';
import { tellEvents } from '../hold-events-text.ts';
import { canvas, type Io } from '../io.ts';
import { Log } from '../log.ts';
import { UsageError } from '../usage.ts';

/** What is asked of a hold that runs. */
const questions = ['status', 'restart', 'stop'] as const;
/** As a shell reports a command that it cannot start. */
const notFound = 127;
const notExecutable = 126;
/** How long a slow reader of the log has at the end. */
const lastLinesMs = 2_000;

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const asked = questions.filter((name) => invocation.flag(name) === true);
  if (asked.length > 0) {
    const { askHold } = await import('./hold-question.ts');
    return askHold(asked, invocation, io);
  }
  const command = invocation.rest ?? [];
  if (command.length === 0)
    throw new UsageError('A command is needed after --, such as: rebind hold 3000 -- npm start');
  if (invocation.flag('unit') === true) {
    const { unit } = await import('./hold-unit.ts');
    return unit(command, invocation, io);
  }
  if (invocation.flag('json') === true) throw new UsageError('--json goes with --status, --restart, --stop and --unit');
  demand(os(), 'passSockets');
  return serve(command, invocation, io);
}

/**
 * Runs the command on what is held until it is over.
 *
 * @param leases The ports of which the first free one stands for the program's own; null where endpoints were typed
 */
export async function serve(
  command: readonly string[],
  invocation: Invocation,
  io: Io,
  leases: readonly number[] | null = null,
): Promise<number> {
  const found = findCommand(command[0] ?? '', process.env, process.cwd());
  if (found.path === null) {
    const paint = canvas(io, 'stderr').paint;
    const name = quoted(command[0] ?? '');
    const why = found.why === 'not-found' ? `There is no command ${name}` : `The file ${name} is not executable`;
    io.stderr.write(`${paint('bad', 'rebind:')} ${why}; nothing was started\n`);
    return found.why === 'not-found' ? notFound : notExecutable;
  }
  for (const word of invocation.operands) heldEndpoint(word);
  const noCount = whyNoCount(process.env);
  if (noCount !== null) throw new UsageError(noCount);
  leaveInspector();
  const log = new Log();
  const options = optionsOf(command, invocation, log);
  let held: Hold;
  try {
    held = leases === null ? await hold(options) : await holdFirstFree(options, leases);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(escapeText(error.message), { cause: error });
    if (!isBlockedPortError(error)) throw error;
    // A take-over that was refused says why in the cause; the kernel's own error says no more than the report.
    const reason =
      error.cause instanceof Error && /^Cannot take over /.test(error.cause.message)
        ? `${escapeText(error.cause.message)}. `
        : '';
    io.stderr.write(`${canvas(io, 'stderr').paint('bad', 'rebind:')} ${reason}Nothing was started\n\n`);
    const { picture } = await import('../why-text.ts');
    io.stderr.write(picture(error.report, canvas(io, 'stderr'), io.now()));
    return exit.blocked;
  }
  held.adoptOrphans();
  log.onLost = (error) => held.fault('Writing the log', error);
  if (invocation.flag('quiet') !== true) tellEvents(held, command, io, log);
  const undo = [forwardSignals(held, options.stopSignal ?? defaults.stopSignal), outlive(held)];
  try {
    return await held.done;
  } finally {
    for (const step of undo) step();
    await log.flush(lastLinesMs);
  }
}

/** Somebody may have one of them, such as another run of this command. @throws {BlockedPortError} of the first when all are taken. */
async function holdFirstFree(options: HoldOptions, ports: readonly number[]): Promise<Hold> {
  let blocked: unknown = null;
  for (const port of ports) {
    try {
      return await hold({ ...options, endpoints: [port], lease: true });
    } catch (error) {
      if (!isBlockedPortError(error)) throw error;
      blocked ??= error;
    }
  }
  throw blocked ?? new UsageError('There is no port to lease: all of them are ones that this system chooses by itself');
}

/** An inspector that NODE_OPTIONS asks for is the command's: with a fixed port only one process can have it. */
function leaveInspector(): void {
  if (!process.env['NODE_OPTIONS']?.includes('--inspect')) return;
  if (!process.execArgv.some((word) => word.startsWith('--inspect')))
    process.getBuiltinModule('node:inspector').close();
}

/** Nothing that is thrown anywhere ends what is held. */
function outlive(held: Hold): () => void {
  const thrown = (error: unknown): void => held.fault('Something in hold', error);
  process.on('uncaughtException', thrown).on('unhandledRejection', thrown);
  return () => process.off('uncaughtException', thrown).off('unhandledRejection', thrown);
}

function optionsOf(command: readonly string[], invocation: Invocation, log: Log): HoldOptions {
  return {
    command,
    endpoints: invocation.operands,
    descriptors: receivedDescriptors(process.env),
    graceMs: time(invocation, 'grace'),
    stopSignal: invocation.value('stop-signal') as StopSignal | undefined,
    lingerMs: time(invocation, 'linger'),
    lameDuckMs: invocation.value('lame-duck') === 'auto' ? 'auto' : time(invocation, 'lame-duck', 'auto or '),
    healthPort: port(invocation, 'health'),
    metricsPort: port(invocation, 'metrics'),
    readyTimeoutMs: time(invocation, 'ready-timeout'),
    readyBy: invocation.value('ready') as ReadyBy | undefined,
    assumeReadyMs: time(invocation, 'assume-ready'),
    overlap: invocation.flag('overlap'),
    takeOver: invocation.flag('take-over'),
    yes: invocation.flag('yes'),
    handOff: invocation.flag('hand-off'),
    watch: invocation.values('watch'),
    stderr: log.passesOn ? log : null,
  };
}

/** How long a shell that ends may take to close its terminal after it has told its jobs so. */
const hangUpMs = 100;

/** Once each: Ctrl-C reaches only us, because the command has a session of its own. */
function forwardSignals(held: Hold, stopSignal: StopSignal): () => void {
  const hadTerminal = hasTerminal();
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    // Somebody asks for a restart, or the terminal that we ran in was closed.
    SIGHUP: () => {
      if (!hadTerminal) void held.restart('SIGHUP');
      else setTimeout(() => void (hasTerminal() ? held.restart('SIGHUP') : held.stop('SIGHUP')), hangUpMs);
    },
    SIGUSR2: () => void held.restart('SIGUSR2'),
    SIGTERM: () => void held.stop('SIGTERM'),
    SIGINT: () => void held.stop('SIGINT'),
    SIGQUIT: () => void held.stop('SIGQUIT'),
    SIGWINCH: () => held.signal('SIGWINCH'),
    SIGTSTP: suspend,
  };
  // For Apache it means something else than the size of the window.
  if (stopSignal === 'SIGWINCH') delete handlers.SIGWINCH;
  /** Ctrl-Z. The kernel decides whether we stop: not where no shell could let us go on (setpgid(2), orphaned process group). */
  function suspend(): void {
    held.signal('SIGSTOP');
    process.off('SIGTSTP', suspend);
    // Returns when we go on, by `fg` or `bg`, or at once.
    process.kill(process.pid, 'SIGTSTP');
    process.on('SIGTSTP', suspend);
    held.signal('SIGCONT');
  }
  const all = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of all) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of all) process.off(signal, handler);
  };
}

/** One that something is printed to: not below nohup(1), and not where all goes to a file. */
function hasTerminal(): boolean {
  return os().processes.terminal() !== 'none' && [1, 2].some((fd) => isatty(fd));
}
