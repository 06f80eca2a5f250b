/**
 * Frameworks that hand the error to a callback, or print a sentence of their own, print nothing of what was added to it. Then one line says it.
 */

/** What was said already; a program that tries again is not told again. */
const said = new Set<string>();
/** How long a program may take to print its error. */
const patienceMs = 200;

type Write = typeof process.stdout.write;

/** Prints the reason on stderr, unless it is printed within a moment: by the program, or by Node as it ends. */
export function sayUnlessPrinted(what: string, reason: string): void {
  if (said.has(reason)) return;
  said.add(reason);
  let isPrinted = false;
  const see = (text: unknown): void => {
    if (String(text).includes(reason)) isPrinted = true;
  };
  const undo = [process.stdout, process.stderr].map((stream) => watch(stream, see));
  const monitor = (error: unknown): void => see(error instanceof Error ? `${error.message}\n${error.stack}` : error);
  process.on('uncaughtExceptionMonitor', monitor);
  const decide = (): void => {
    clearTimeout(timer);
    process.off('uncaughtExceptionMonitor', monitor);
    process.off('exit', decide);
    for (const end of undo) end();
    if (!isPrinted) process.stderr.write(`rebind: ${what}: ${reason}\n`);
  };
  const timer = setTimeout(decide, patienceMs);
  timer.unref();
  // First of all, and gone before the program's own listeners run.
  process.prependListener('exit', decide);
}

/** Looks at what is written to a stream, and leaves it as it was. */
function watch(stream: NodeJS.WriteStream, see: (text: unknown) => void): () => void {
  const { write } = stream;
  const watched = function (this: NodeJS.WriteStream, ...args: Parameters<Write>): boolean {
    see(typeof args[0] === 'string' ? args[0] : Buffer.from(args[0]));
    return Reflect.apply(write, this, args) as boolean;
  } as Write;
  const had = Object.hasOwn(stream, 'write');
  stream.write = watched;
  return () => {
    if (stream.write !== watched) return;
    if (had) stream.write = write;
    else Reflect.deleteProperty(stream, 'write');
  };
}
