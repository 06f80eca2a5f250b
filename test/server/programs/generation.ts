/**
 * A server that takes its port over from its predecessor. PORT; MODE: drain (default), deaf (ignores SIGTERM), bare (no handler),
 * dies (ends when it is asked, at once), plain (listens as any Node program). Prints one JSON line when it listens, or why it does not.
 */
import http from 'node:http';
import { close, isBlockedPortError, listen } from '../../../src/index.ts';

const mode = process.env['MODE'] ?? 'drain';
const server = http.createServer((request, response) => {
  const delayMs = Number(new URL(request.url ?? '/', 'http://x').searchParams.get('delay') ?? 5);
  setTimeout(() => response.end(String(process.pid)), delayMs);
});
if (mode === 'deaf') process.on('SIGTERM', () => {});
if (mode === 'dies') process.on('SIGTERM', () => process.exit(0));
const say = (line: object): void => void process.stdout.write(`${JSON.stringify({ pid: process.pid, ...line })}\n`);
try {
  const port = Number(process.env['PORT']);
  if (mode === 'plain') {
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    say({ port });
  } else {
    const from = process.env['FROM'];
    const at = await listen(server, {
      port,
      host: process.env['HOST'] ?? '127.0.0.1',
      busy: 'take-over',
      takeOver: {
        timeoutMs: Number(process.env['TIMEOUT_MS'] ?? 10_000),
        force: process.env['FORCE'] === '1',
        ...(from !== undefined && { from: Number(from) }),
      },
    });
    if (mode === 'drain') close.onSignals(server, { idleMs: 300 });
    say({ port: at.port, predecessor: at.predecessor });
  }
} catch (error) {
  const cause = (error as Error).cause;
  say({
    error: (error as Error).message,
    code: (error as NodeJS.ErrnoException).code,
    blocked: isBlockedPortError(error),
    why: cause instanceof Error ? cause.message : '',
  });
}
