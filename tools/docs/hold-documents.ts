/**
 * What `rebind hold` prints with `--json`: a running hold is asked, or its units are printed.
 */

import type { Units } from '../../src/cli/systemd-units.ts';
import type { LiveGeneration, PastGeneration } from '../../src/hold/index.ts';
import type { RestartResult } from '../../src/hold/settings.ts';
import type { HoldStatus } from '../../src/hold/status.ts';
import type { DrainCounts } from '../../src/hold/wire/messages.ts';
import { list, object, one, orNull, type Schema, text, whole, yes } from './schema.ts';

/** A field that the type gets and this does not have is an error of the compiler. */
type Fields<T> = Readonly<Record<keyof T, Schema>>;

const schemaNumber: Schema = { description: 'The number of this layout.', const: 1 };

const generation = whole('Its number: 1 for the first run of the command.');
const startedAt = text('When it was started, ISO 8601.');
const readyAfterMs = orNull(whole('Milliseconds from its start until it was ready; null when it was not.'));

const live = object('A run of the command that is there.', {
  generation,
  pid: orNull(whole('Its process number, null before it has one.')),
  state: one('How far it is: `starting`, `ready`, `draining`, `ending` or `ended`.', [
    'starting',
    'ready',
    'draining',
    'ending',
    'ended',
  ]),
  startedAt,
  readyAfterMs,
  readyBy: orNull(
    text(
      'What showed that it is ready: `listening`, `notify`, `message`, `kernel` or `assumed`; null when nothing did.',
    ),
  ),
} satisfies Fields<LiveGeneration>);

const counts = object('How its connections ended.', {
  finished: whole('Answered, and closed after the answer.'),
  idle: whole('Idle, and closed after the linger.'),
  killed: whole('Cut off because the grace was over.'),
  handedOff: whole('Given to the next run while idle.'),
} satisfies Fields<DrainCounts>);

const past = object('A run of the command that is over.', {
  generation,
  startedAt,
  endedAt: text('When it had ended, ISO 8601.'),
  readyAfterMs,
  outcome: one(
    '`retired`: replaced. `killed`: replaced, and it had to be forced. `refused`: it never became ready. `superseded`: a later restart took its place. `crashed`: it ended by itself. `finished`: hold was stopped, or the command was done.',
    ['retired', 'killed', 'refused', 'superseded', 'crashed', 'finished'] satisfies PastGeneration['outcome'][],
  ),
  why: orNull(text('One sentence, null when there is nothing to say.')),
  counts: orNull(counts),
} satisfies Fields<PastGeneration>);

const described = (schema: Schema, description: string): Schema => ({ ...schema, description });

const status = object('What `rebind hold --status 3000 --json` prints. It has no field `error`.', {
  schema: schemaNumber,
  pid: whole('The process of the hold.'),
  startedAt: text('When the hold was started, ISO 8601.'),
  command: list('The command that it runs.', text('A word.')),
  stopping: yes('True when it was asked to end.'),
  endpoints: list(
    'What it holds.',
    object('An endpoint.', {
      endpoint: text('As it is typed, such as `127.0.0.1:3000` or `udp/127.0.0.1:53`.'),
      waiting: orNull(whole('Connections that nobody accepted yet; null when the kernel does not say.')),
      limit: orNull(whole('How many may wait; null when the kernel does not say.')),
    } satisfies Fields<HoldStatus['endpoints'][number]>),
  ),
  current: orNull(described(live, 'The run that serves, or is meant to; null between two of them.')),
  next: orNull(described(live, 'The run that starts beside it, or null.')),
  draining: list('The runs whose last connections end.', live),
  past: list('The runs that are over, the last 50 of them, oldest first.', past),
  faults: list(
    'What failed while hold went on, such as a log that nobody reads; the newest last.',
    object('Something that failed.', {
      sentence: text('One sentence.'),
      times: whole('How often it failed.'),
      lastAt: text('When it failed last, ISO 8601.'),
    } satisfies Fields<HoldStatus['faults'][number]>),
  ),
} satisfies Fields<HoldStatus>);

export const holdDocuments: Readonly<Record<string, Schema>> = {
  'hold-status': status,
  'hold-list': object(
    'What `rebind hold --status --json` prints without an endpoint. Exit 0 when every hold answered, else 1. It has no field `error`.',
    {
      schema: schemaNumber,
      holds: list('The holds of this user.', described(status, 'A hold, as `hold-status`.')),
      silent: list('One sentence for each hold that did not answer.', text('A sentence.')),
    },
  ),
  'hold-stop': object(
    'What `rebind hold --stop --json` prints. Exit 0 when it has stopped, else 1. It has no field `error`.',
    { schema: schemaNumber, stopped: yes('False when its command still runs after the grace.') },
  ),
  'hold-restart': object(
    'What `rebind hold --restart --json` prints when the restart is over. Exit 0 when it is `done`, else 1. It has no field `error`.',
    {
      schema: schemaNumber,
      outcome: one(
        '`refused`: the new process did not become ready, and the old one keeps serving. `superseded`: a later restart took its place.',
        ['done', 'refused', 'superseded'] satisfies RestartResult['outcome'][],
      ),
      generation: orNull(whole('The number of the new run of the command, null when none was started.')),
      why: orNull(text('One sentence, null when done.')),
    } satisfies Fields<RestartResult & { schema: 1 }>,
  ),
  'hold-unit': object('What `rebind hold --unit --json` prints. It has no field `error`.', {
    schema: schemaNumber,
    name: text('The name of both units, without `.socket` and `.service`.'),
    socket: text('The text of the socket unit.'),
    service: text('The text of the service unit.'),
  } satisfies Fields<Units & { schema: 1 }>),
};
