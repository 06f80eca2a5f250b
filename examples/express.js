/**
 * An express app that always gets its port and loses no request when it is stopped.
 *
 *   PORT=3000 node examples/express.js
 */
import http from 'node:http';
import express from 'express';
import { close, isBlockedPortError, listen } from 'rebind';

const app = express();
const server = http.createServer(app);

app.get('/', (_request, response) => response.send('hello'));
// A load balancer asks here; it sends nobody any more before the server stops to accept.
app.get('/ready', (_request, response) => response.sendStatus(close.isClosing(server) ? 503 : 200));

try {
  const { port } = await listen(server, { port: Number(process.env.PORT ?? 3000), busy: 'wait', timeoutMs: 5000 });
  close.onSignals(server, { graceMs: 10_000, lameDuckMs: Number(process.env.LAME_DUCK_MS ?? 0) });
  console.log(`listening on ${port}`);
} catch (error) {
  if (!isBlockedPortError(error)) throw error;
  console.error(error.message);
  for (const { sentence, command } of error.plan)
    console.error(`  ${sentence}${command === null ? '' : `: ${command}`}`);
  process.exitCode = 1;
}
