import { fstatSync } from 'node:fs';

/** True when a person can be asked: stdin and stderr are terminals. */
export function canAsk(): boolean {
  return isTerminal(2) && isTerminal(0);
}

/** Whether a descriptor is a terminal. A stream for it takes milliseconds to make, and most runs never use it. */
export function isTerminal(fd: number): boolean {
  try {
    // Only character devices are; loading node:tty takes a millisecond.
    return fstatSync(fd).isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(fd);
  } catch {
    // A closed descriptor.
    return false;
  }
}

/** Asks on the terminal; only `y` and `yes` mean yes. Rejects with the signal's reason when it is aborted. */
export async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  return /^y(es)?$/i.test(await askLine(question, signal));
}

/** Asks for a line, without the spaces around it; empty at the end of the input. Rejects with the signal's reason when it is aborted. */
export function askLine(question: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    // Loaded here: it takes a millisecond, and most runs ask nothing.
    const { createInterface } = process.getBuiltinModule('node:readline');
    // Not `terminal`: that would take Ctrl-C away from the process.
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    const abort = (): void => {
      lines.close();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    lines.on('close', () => {
      signal.removeEventListener('abort', abort);
      resolve('');
    });
    lines.question(question, (answer) => {
      resolve(answer.trim());
      lines.close();
    });
  });
}
