/**
 * The program of a child that inherited sockets: from descriptor 4 on. It keeps them open, and with `serve` it accepts
 * connections on the first. Run as `node inheritor.js ROLE [serve]`.
 */
import { createServer } from 'node:net';
import { leashDescriptor } from './leash.ts';
import { polled } from './polled.ts';

/** Something must keep the program running: an inherited descriptor alone does not. */
setInterval(() => {}, 2 ** 30);

if (process.argv[3] === 'serve') {
  createServer((socket) => socket.end('served by the child\n')).listen({ fd: leashDescriptor + 1 }, () =>
    polled().then(ready),
  );
} else {
  ready();
}

function ready(): void {
  process.stdout.write('ready\n');
}
