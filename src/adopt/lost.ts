/**
 * A held socket that did not reach the process: the kernel refuses the port, because hold has it, and the error names that reason.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { PassedSocket } from '../hold/wire/passed.ts';
import { formatEndpoint } from '../model/endpoint.ts';

/** Node tells of a listen that failed here, before it emits the error (since Node 20). */
const failedChannel = 'tracing:net.server.listen:error';

export function lostSentence({ endpoint }: PassedSocket, why: string): string {
  return (
    `rebind hold keeps ${formatEndpoint(endpoint)}, but its descriptor did not reach process ${process.pid}, and hold could not send it: ${why}. ` +
    `The process that started this one (${process.ppid}) did not pass it on`
  );
}

/** Adds a sentence to the error of the listen that is under way. */
export function nameTheReason(sentence: string): void {
  const told = (message: unknown): void => {
    const { error } = message as { error: Error };
    const { message: text, stack } = error;
    error.message = `${text}\n  ${sentence}`;
    if (stack?.includes(text) === true) error.stack = stack.replace(text, () => error.message);
  };
  subscribe(failedChannel, told);
  process.nextTick(() => unsubscribe(failedChannel, told));
}
