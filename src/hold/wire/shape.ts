/**
 * Checks of what another process sent: a value is what its table says, or it is nothing. What comes out holds only fields of the table, so
 * that no name that a message invented reaches us.
 */

/** The value as it may be used; undefined when it is something else. */
export type Shape<T> = (value: unknown) => T | undefined;
export type Shapes<T> = { readonly [Name in keyof T]-?: Shape<T[Name]> };

const when =
  <T>(is: (value: unknown) => value is T): Shape<T> =>
  (value) =>
    is(value) ? value : undefined;

/** A text of at most this many characters. */
export const text = (most: number): Shape<string> =>
  when((value): value is string => typeof value === 'string' && value.length <= most);
export const matching = (pattern: RegExp, most: number): Shape<string> =>
  when((value): value is string => typeof value === 'string' && value.length <= most && pattern.test(value));
/** A finite number in a range. */
export const number = (least = -Number.MAX_VALUE, most = Number.MAX_VALUE): Shape<number> =>
  when((value): value is number => typeof value === 'number' && value >= least && value <= most);
export const whole =
  (least: number, most: number): Shape<number> =>
  (value) => {
    const isRight = typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;
    // JSON has a -0, and nothing that counts has.
    return isRight ? value + 0 : undefined;
  };
export const boolean: Shape<boolean> = when((value): value is boolean => typeof value === 'boolean');
export const time: Shape<string> = when(
  (value): value is string => typeof value === 'string' && value.length <= 40 && !Number.isNaN(Date.parse(value)),
);

export const orNull =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value) =>
    value === null ? null : shape(value);

export const oneOf = <T extends string | number>(...words: readonly T[]): Shape<T> =>
  when((value): value is T => words.includes(value as T));

export const listOf =
  <T>(shape: Shape<T>, most: number): Shape<T[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length > most) return undefined;
    const list = value.map(shape);
    return list.every((one) => one !== undefined) ? (list as T[]) : undefined;
  };

/** An object with names of its own choice, which must have a shape as well; it has no prototype. */
export const recordOf =
  <T>(name: Shape<string>, shape: Shape<T>, most: number): Shape<Record<string, T>> =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const entries = Object.entries(value);
    if (entries.length > most) return undefined;
    const record: Record<string, T> = Object.create(null);
    for (const [key, one] of entries) {
      const checked = shape(one);
      if (name(key) === undefined || checked === undefined) return undefined;
      record[key] = checked;
    }
    return record;
  };

/** An object with exactly these fields; what else it has is dropped. */
export const fields =
  <T extends object>(shapes: Shapes<T>): Shape<T> =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const result: Partial<T> = {};
    for (const name of Object.keys(shapes) as (keyof T)[]) {
      const checked = shapes[name](Object.hasOwn(value, name) ? (value as T)[name] : undefined);
      if (checked === undefined) return undefined;
      result[name] = checked;
    }
    return result as T;
  };

/** The first shape that fits. */
export const either =
  <A, B>(first: Shape<A>, second: Shape<B>): Shape<A | B> =>
  (value) =>
    first(value) ?? second(value);

/** An object whose `kind` says which table it must fit. */
export const byKind =
  <Message extends { readonly kind: string }>(
    tables: { readonly [Kind in Message['kind']]: Shape<Omit<Extract<Message, { kind: Kind }>, 'kind'>> },
  ): Shape<Message> =>
  (value) => {
    const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
    if (typeof kind !== 'string' || !Object.hasOwn(tables, kind)) return undefined;
    const rest = (tables as Record<string, Shape<object>>)[kind]?.(value);
    return rest === undefined ? undefined : ({ ...rest, kind } as unknown as Message);
  };
