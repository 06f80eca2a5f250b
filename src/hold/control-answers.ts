/**
 * What a hold answers, checked: it is printed for a person, so texts are escaped where they are printed, and everything else must be a number or
 * a word that hold knows.
 */
import type { RestartResult } from './settings.ts';
import type { HoldStatus, LiveGeneration } from './status.ts';
import type { DrainCounts } from './wire/messages.ts';
import { boolean, fields, listOf, number, oneOf, orNull, type Shape, text, time } from './wire/shape.ts';

const longText = text(65_536);
const live: Shape<LiveGeneration> = fields<LiveGeneration>({
  generation: number(),
  pid: orNull(number()),
  state: longText,
  startedAt: time,
  readyAfterMs: orNull(number()),
  readyBy: orNull(longText),
});

type Past = HoldStatus['past'][number];

export const statusAnswer: Shape<HoldStatus> = fields<HoldStatus>({
  schema: oneOf(1),
  pid: number(),
  startedAt: time,
  command: listOf(longText, 65_536),
  stopping: boolean,
  endpoints: listOf(
    fields<HoldStatus['endpoints'][number]>({
      endpoint: longText,
      waiting: orNull(number()),
      limit: orNull(number()),
    }),
    1_024,
  ),
  current: orNull(live),
  next: orNull(live),
  draining: listOf(live, 1_024),
  past: listOf(
    fields<Past>({
      generation: number(),
      startedAt: time,
      endedAt: time,
      readyAfterMs: orNull(number()),
      outcome: oneOf('retired', 'killed', 'refused', 'superseded', 'crashed', 'finished'),
      why: orNull(longText),
      counts: orNull(
        fields<DrainCounts>({ finished: number(), idle: number(), killed: number(), handedOff: number() }),
      ),
    }),
    1_024,
  ),
  // A hold that was started before this field was made has none.
  faults: (value) =>
    value === undefined
      ? []
      : listOf(
          fields<HoldStatus['faults'][number]>({ sentence: longText, times: number(), lastAt: time }),
          1_024,
        )(value),
});

export const restartResult: Shape<RestartResult> = fields<RestartResult>({
  outcome: oneOf('done', 'refused', 'superseded'),
  generation: orNull(number()),
  why: orNull(longText),
});

export const stopResult: Shape<{ readonly stopped: boolean }> = fields<{ readonly stopped: boolean }>({
  stopped: boolean,
});
