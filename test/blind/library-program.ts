/**
 * What the library says where it sees little: `node library-program.js INDEX BLOCKED_PORT`, with INDEX the library to load.
 * One line of JSON for each call: its outcome, or the error.
 */
import http from 'node:http';

const [index = '', blocked = ''] = process.argv.slice(2);
const { close, listen, reserve, why } = (await import(index)) as typeof import('../../src/index.ts');
const host = '127.0.0.1';
const port = Number(blocked);
const quiet = (): http.Server => http.createServer().on('error', () => {});

const calls: Record<string, () => Promise<unknown>> = {
  'listen blocked': () => listen(quiet(), { port, host }),
  'listen take-over': () => listen(quiet(), { port, host, busy: 'take-over', takeOver: { timeoutMs: 1_000 } }),
  'listen next': async () => {
    const server = quiet();
    const { port: next } = await listen(server, { port, host, busy: 'next' });
    await close(server);
    return next > port;
  },
  'listen free': async () => {
    const server = quiet();
    const { port: chosen } = await listen(server, { port: 0, host });
    const response = await fetch(`http://${host}:${chosen}`, { signal: AbortSignal.timeout(200) }).catch(() => null);
    await close(server, { graceMs: 100 });
    return response === null && chosen > 0;
  },
  'reserve blocked': () => reserve({ port, host }),
  'reserve free': async () => {
    using reserved = await reserve({ host });
    return reserved.port > 0;
  },
  why: async () => (await why({ port, host })).bindable,
};
for (const [call, run] of Object.entries(calls)) {
  try {
    const value = await run();
    process.stdout.write(`${JSON.stringify({ call, value: typeof value === 'object' ? 'done' : value })}\n`);
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    process.stdout.write(`${JSON.stringify({ call, error: { name, code, message } })}\n`);
  }
}
process.exit();
