/**
 * Runs the tests of a file in a network and process namespace of its own, where this machine allows one: there an ordinary user may make hosts and
 * rules, too. Without one they run where they are.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { insideNamespace, namespaceCommand, namespaceEnvironment } from '../src/stage/namespace.ts';

/** @param file The test's own `import.meta.url`. @param runHere Declares the tests. */
export async function runInside(file: string, runHere: () => void): Promise<void> {
  const prefix = insideNamespace() ? null : namespaceCommand();
  if (prefix === null) {
    runHere();
    return;
  }
  // The same file once more, inside. Its reports go to the runner as if they came from here.
  const [program = '', ...args] = prefix;
  const inside = spawn(program, [...args, process.execPath, '--enable-source-maps', fileURLToPath(file)], {
    stdio: 'inherit',
    env: namespaceEnvironment(),
  });
  const [code] = (await once(inside, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}
