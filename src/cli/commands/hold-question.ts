/** `rebind hold --status`, `--restart` and `--stop`: questions to a hold that is running. */
import { allHolds, holdRestart, holdStatus, holdStop, type Reply } from '../../hold/client.ts';
import { type ParsedEndpoint, parseEndpoint } from '../../model/endpoint.ts';
import { escapeText } from '../../model/text.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { statusText } from '../hold-status-text.ts';
import { canvas, type Io } from '../io.ts';
import { print } from '../json.ts';
import { UsageError } from '../usage.ts';

type Question = 'status' | 'restart' | 'stop';
const flags: readonly Question[] = ['status', 'restart', 'stop'];

export async function askHold(asked: readonly Question[], invocation: Invocation, io: Io): Promise<number> {
  if (asked.length > 1) throw new UsageError(`Give ${asked.map((name) => `--${name}`).join(' or ')}, not both`);
  if (invocation.rest !== null) throw new UsageError('A running hold is asked without a command after --');
  if (asked[0] === 'status')
    return invocation.operands.length === 0 ? statusOfAll(invocation, io) : status(invocation, io);
  return asked[0] === 'restart' ? restart(invocation, io) : stop(invocation, io);
}

async function status(invocation: Invocation, io: Io): Promise<number> {
  const reply = await holdStatus(onlyEndpoint(invocation));
  if (reply.kind !== 'answer') return noAnswer(reply, invocation, io);
  io.stdout.write(invocation.flag('json') ? print(reply.answer) : statusText(reply.answer, canvas(io), io.now()));
  return exit.ok;
}

async function statusOfAll(invocation: Invocation, io: Io): Promise<number> {
  const { holds, silent } = await allHolds();
  if (invocation.flag('json')) io.stdout.write(print({ schema: 1, holds, silent }));
  else {
    io.stdout.write(holds.map((one) => statusText(one, canvas(io), io.now())).join('\n'));
    if (holds.length === 0 && silent.length === 0) io.stderr.write('No hold of this user is running\n');
    for (const why of silent) complain(why, io);
  }
  return silent.length === 0 ? exit.ok : exit.blocked;
}

async function restart(invocation: Invocation, io: Io): Promise<number> {
  const reply = await holdRestart(onlyEndpoint(invocation));
  if (reply.kind !== 'answer') return noAnswer(reply, invocation, io);
  const result = reply.answer;
  if (invocation.flag('json')) io.stdout.write(print({ schema: 1, ...result }));
  else if (result.outcome === 'done') io.stdout.write(`Generation ${result.generation} serves\n`);
  else complain(result.why ?? '', io);
  return result.outcome === 'done' ? exit.ok : exit.blocked;
}

async function stop(invocation: Invocation, io: Io): Promise<number> {
  const reply = await holdStop(onlyEndpoint(invocation));
  if (reply.kind !== 'answer') return noAnswer(reply, invocation, io);
  const { stopped } = reply.answer;
  if (invocation.flag('json')) io.stdout.write(print({ schema: 1, stopped }));
  else if (stopped) io.stdout.write('Stopped\n');
  else complain('It is stopping, and its command still runs', io);
  return stopped ? exit.ok : exit.blocked;
}

function noAnswer(reply: Exclude<Reply<never>, { kind: 'answer' }>, invocation: Invocation, io: Io): number {
  const isNone = reply.kind === 'none';
  const message = isNone
    ? `No hold of this user keeps ${escapeText(invocation.operands[0] ?? '')}`
    : escapeText(reply.why);
  if (invocation.flag('json'))
    io.stdout.write(print({ schema: 1, error: { kind: isNone ? 'no-hold' : 'no-answer', message } }));
  complain(message, io);
  return exit.blocked;
}

function complain(sentence: string, io: Io): void {
  io.stderr.write(`${canvas(io, 'stderr').paint('bad', 'rebind:')} ${escapeText(sentence)}\n`);
}

function onlyEndpoint(invocation: Invocation): ParsedEndpoint {
  const [word, ...others] = invocation.operands;
  if (word === undefined || others.length > 0)
    throw new UsageError(
      `Give the one endpoint of the hold, such as: rebind hold --${flags.find((name) => invocation.flag(name) === true) ?? 'status'} 3000`,
    );
  try {
    return parseEndpoint(word);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
