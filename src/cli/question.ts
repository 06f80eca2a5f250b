import { createInterface } from 'node:readline';

/** True when somebody can be asked: both ends of the conversation are a terminal. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks on the terminal; only `y` and `yes` mean yes. Rejects with the signal's reason when it is aborted. */
export function ask(question: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // Not `terminal`: that would take Ctrl-C away from the process.
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    const abort = (): void => {
      lines.close();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    lines.on('close', () => {
      signal.removeEventListener('abort', abort);
      resolve(false);
    });
    lines.question(question, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()));
      lines.close();
    });
  });
}
