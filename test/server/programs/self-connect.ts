/** Run in a namespace with a narrow range of automatic ports: how often does a client of a port where nobody listens connect to itself? */
import net from 'node:net';
import { connect } from '../../../src/index.ts';

const port = 34_032;
let plainSelf = 0;
for (let i = 0; i < 2000 && plainSelf === 0; i++) {
  await new Promise<void>((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => resolve());
    socket.on('connect', () => {
      plainSelf++;
      socket.resetAndDestroy();
      resolve();
    });
  });
}
let refused = 0;
let self = 0;
const client = connect({ port, host: '127.0.0.1', firstPauseMs: 0, longestPauseMs: 0 });
client.on('connect', () => self++);
client.on('retry', () => {
  if (++refused >= 2000) client.close();
});
client.on('close', () => process.stdout.write(JSON.stringify({ refused, self, plainSelf })));
