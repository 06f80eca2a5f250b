/**
 * A chat server that can be killed and started again at once. In two terminals:
 *
 *   PORT=3000 node examples/chat-server.js
 *   PORT=3000 node examples/chat-client.js ann
 *
 * Then kill the server with `kill -9` and start it again: it listens immediately, and the client carries on. Start a second one while the
 * first still runs: it takes the port over, and the first one lets its clients go to it.
 */
import net from 'node:net';
import { createInterface } from 'node:readline';
import { close, listen } from 'rebind';

const clients = new Set();

const server = net.createServer((socket) => {
  clients.add(socket);
  socket.on('close', () => clients.delete(socket));
  socket.on('error', () => socket.destroy());
  socket.write(`* you talk to process ${process.pid}\n`);
  const lines = createInterface({ input: socket });
  // readline hands on the errors of its input: a client that resets its connection must not end the server.
  lines.on('error', () => {});
  lines.on('line', (line) => {
    for (const client of clients) client.write(`${line}\n`);
  });
});

// close() says so before it lets go of the connections.
server.on('drain', () => {
  for (const client of clients) client.end('* the server is going, another one takes over\n');
});

const { port, predecessor } = await listen(server, {
  port: Number(process.env.PORT ?? 3000),
  host: '127.0.0.1',
  busy: 'take-over',
  // A client whose cable was pulled is noticed after 20 seconds, not after two hours.
  keepAlive: true,
  keepAliveIdle: { seconds: 10 },
  userTimeout: { ms: 20_000 },
});
close.onSignals(server);
console.log(`listening on ${port}${predecessor === null ? '' : `, taken over from process ${predecessor.pid}`}`);
