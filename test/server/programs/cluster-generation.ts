/** A primary with two workers that each listen on PORT with take-over. Prints one JSON line with whom they took over from, nulls last. */
import cluster from 'node:cluster';
import { once } from 'node:events';
import http from 'node:http';
import { listen } from '../../../src/index.ts';

if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  const messages = await Promise.all(workers.map((worker) => once(worker, 'message')));
  const predecessors = messages.map(([predecessor]) => predecessor as object | null).sort((one) => (one ? -1 : 1));
  process.stdout.write(`${JSON.stringify({ pid: process.pid, predecessors })}\n`);
} else {
  const server = http.createServer((_request, response) => response.end(`worker ${process.pid}`));
  const port = Number(process.env['PORT']);
  const { predecessor } = await listen(server, { port, host: '127.0.0.1', busy: 'take-over' });
  process.send?.(predecessor);
}
