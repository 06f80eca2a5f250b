import http from 'node:http';
import { listen } from '../../../src/index.ts';

const server = http.createServer((_request, response) => response.end('worker'));
const { port, unset } = await listen(server, { port: 0, host: '127.0.0.1', keepAlive: true });
const refused = await listen(http.createServer(), { port: 0, mark: 1 }).then(
  () => 'not at all',
  (error: Error) => error.message,
);
process.send?.({ port, unset: unset.map(({ option }) => option), refused });
