/**
 * The server that bench/listen.ts measures. LISTEN: plain, rebind, options (what Node cannot set), take-over. CLOSE: how it ends on SIGTERM.
 * Answers after `?ms=`. Says its pid when it listens.
 */
import http from 'node:http';
import { createRequire } from 'node:module';

const how = process.env['LISTEN'] ?? 'plain';
const way = process.env['CLOSE'] ?? 'none';
/** As it is published; a plain server does not load it at all. */
type Library = typeof import('../src/index.ts');
const library = async (): Promise<Library> =>
  (await import(new URL('../../dist/index.js', import.meta.url).href)) as Library;
const load = createRequire(import.meta.url);
const port = Number(process.env['PORT'] ?? 0);
const host = '127.0.0.1';
const server = http.createServer((request, response) => {
  const ms = Number(/\?ms=(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
  if (ms === 0) response.end('ok');
  else setTimeout(() => response.end('ok'), ms);
});
const graceMs = 10_000;
const exit = (): never => process.exit(0);

const ways: Record<string, () => unknown> = {
  none: () => {},
  bare: () => process.once('SIGTERM', () => server.close(exit)),
  stoppable: () => {
    const stoppable = load('stoppable') as (server: http.Server, ms: number) => { stop(done: () => void): void };
    const stopping = stoppable(server, graceMs);
    process.once('SIGTERM', () => stopping.stop(exit));
  },
  terminus: () => {
    const { createTerminus } = load('@godaddy/terminus') as typeof import('@godaddy/terminus');
    createTerminus(server, { signal: 'SIGTERM', timeout: graceMs });
  },
  'http-terminator': () => {
    const { createHttpTerminator } = load('http-terminator') as typeof import('http-terminator');
    const terminator = createHttpTerminator({ server, gracefulTerminationTimeout: graceMs });
    process.once('SIGTERM', () => void terminator.terminate().then(exit));
  },
  'close-with-grace': () => {
    type Grace = (options: { delay: number }, done: () => Promise<void>) => void;
    const grace = load('close-with-grace') as Grace | { default: Grace };
    (typeof grace === 'function' ? grace : grace.default)(
      { delay: graceMs },
      () => new Promise((resolve) => void server.close(() => resolve())),
    );
  },
  'http-graceful-shutdown': () => {
    const shutdown = load('http-graceful-shutdown') as (server: http.Server, options: object) => void;
    shutdown(server, { timeout: graceMs, signals: 'SIGTERM' });
  },
  rebind: async () => (await library()).close.onSignals(server, { graceMs, signals: ['SIGTERM'] }),
};

server.once('listening', () => {
  const address = server.address();
  process.stdout.write(`${process.pid} ${typeof address === 'object' ? address?.port : 0}\n`);
});
if (way !== 'rebind') ways[way]?.();
if (how === 'plain') server.listen(port, host);
else {
  const { listen } = await library();
  if (how === 'rebind') await listen(server, { port, host });
  else if (how === 'options') await listen(server, { port, host, keepAlive: true, userTimeout: { ms: 20_000 } });
  else await listen(server, { port, host, busy: 'take-over' });
}
if (way === 'rebind') await ways[way]?.();
