/**
 * The client of chat-server.js: it stays in the chat while the server is killed and started again.
 *
 *   PORT=3000 node examples/chat-client.js ann
 */
import { createInterface } from 'node:readline';
import { connect } from 'rebind';

const name = process.argv[2] ?? 'somebody';
const client = connect({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1', deadlineMs: 60_000 });
client.on('disconnect', () => console.log('* connection lost, coming back'));

createInterface({ input: process.stdin })
  .on('line', (line) => client.socket?.write(`${name}: ${line}\n`))
  .on('close', () => client.close());

for await (const socket of client) {
  socket.setKeepAlive(true, 10_000);
  socket.write(`* ${name} is here\n`);
  try {
    for await (const line of createInterface({ input: socket })) console.log(line);
  } catch {
    // Reset: the server was killed before it had read all that it was sent. Another connection follows.
  }
}
