/** A server that stops as close.onSignals says. SIGNALS: which; LISTENER: the program has a handler of its own. Prints the port, and `asked` for a request. */
import { writeSync } from 'node:fs';
import http from 'node:http';
import { close, listen } from '../../../src/index.ts';

if (process.env['AT_EXIT'] !== undefined) process.on('exit', (status) => writeSync(1, `exit ${status}\n`));

const { LISTENER, SIGNALS } = process.env;
const server = http.createServer((request, response) => {
  process.stdout.write('asked\n');
  setTimeout(() => response.end('done'), Number(new URL(request.url ?? '/', 'http://x').searchParams.get('delay')));
});
const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
const stop = close.onSignals(server, {
  graceMs: 5000,
  idleMs: 50,
  ...(SIGNALS !== undefined && { signals: SIGNALS.split(',') as NodeJS.Signals[] as 'SIGTERM'[] }),
});
if (LISTENER === 'own') process.on('SIGTERM', () => {});
if (LISTENER === 'none') stop();
process.stdout.write(`${port}\n`);
