/** Remedies of causes that only a person can remove: what to look at, and what to change. */
import type { Remedy, RemedyId } from '../../../model/verdict.ts';

/** Something to change, with the command that does it or shows it. */
export function change(
  remedy: RemedyId,
  sentence: string,
  command: string | null | undefined,
  args: Readonly<Record<string, unknown>> = {},
): Remedy {
  return { remedy, sentence, command: command ?? null, automatic: false, args };
}

/** Something to look at, with the command that shows it. */
export function look(sentence: string, command: string | null | undefined): Remedy {
  // Two looks are two remedies: their commands tell them apart.
  return change('investigate', sentence, command, command == null ? {} : { command });
}

/** Another address or name to connect to. */
export function connectTo(sentence: string, addresses: readonly string[]): Remedy {
  return change('use-address', sentence, null, { addresses });
}
