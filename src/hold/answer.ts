/**
 * Whether what another process answered is what hold answers. It is printed for a person, so nothing is believed:
 * texts are escaped where they are printed, and everything else must be a number or a word that hold knows.
 */
import type { RestartResult } from './settings.ts';
import type { HoldStatus } from './status.ts';

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number';
const isBoolean: Check = (value) => typeof value === 'boolean';
const isTime: Check = (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value));
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const oneOf =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value as string);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const fields =
  <T extends object>(checks: { readonly [Name in keyof Required<T>]: Check }): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries<Check>(checks).every(([name, check]) => check((value as Record<string, unknown>)[name]));

const isLive = fields<NonNullable<HoldStatus['current']>>({
  generation: isNumber,
  pid: orNull(isNumber),
  state: isText,
  startedAt: isTime,
  readyAfterMs: orNull(isNumber),
  readyBy: orNull(isText),
});

const isStatus = fields<HoldStatus>({
  schema: (value) => value === 1,
  pid: isNumber,
  startedAt: isTime,
  command: listOf(isText),
  stopping: isBoolean,
  endpoints: listOf(
    fields<HoldStatus['endpoints'][number]>({ endpoint: isText, waiting: orNull(isNumber), limit: orNull(isNumber) }),
  ),
  current: orNull(isLive),
  next: orNull(isLive),
  draining: listOf(isLive),
  past: listOf(
    fields<HoldStatus['past'][number]>({
      generation: isNumber,
      startedAt: isTime,
      endedAt: isTime,
      readyAfterMs: orNull(isNumber),
      outcome: oneOf('retired', 'killed', 'refused', 'superseded', 'crashed', 'finished'),
      why: orNull(isText),
      counts: orNull(
        fields<NonNullable<HoldStatus['past'][number]['counts']>>({
          finished: isNumber,
          idle: isNumber,
          killed: isNumber,
          handedOff: isNumber,
        }),
      ),
    }),
  ),
  // A hold that was started before this field was made has none.
  faults: (value) =>
    value === undefined ||
    listOf(fields<HoldStatus['faults'][number]>({ sentence: isText, times: isNumber, lastAt: isTime }))(value),
});

const isResult = fields<RestartResult>({
  outcome: oneOf('done', 'refused', 'superseded'),
  generation: orNull(isNumber),
  why: orNull(isText),
});

export function isHoldStatus(value: unknown): value is HoldStatus {
  return isStatus(value);
}

export function isRestartResult(value: unknown): value is RestartResult {
  return isResult(value);
}
