/**
 * A WebSocket server whose clients are told to come back when it restarts: close code 1012, service restart.
 *
 *   PORT=3000 node examples/websocket.js
 */
import http from 'node:http';
import { close, listen } from 'rebind';
import { WebSocketServer } from 'ws';

const server = http.createServer();
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => {
  socket.on('message', (message) => socket.send(`${message}`));
});

const { port } = await listen(server, { port: Number(process.env.PORT ?? 3000), busy: 'take-over' });
close.onSignals(server);
console.log(`listening on ${port}`);
