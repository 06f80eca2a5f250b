/**
 * What another user sends to a hold that the soak has running: garbage to the control socket, forged messages with descriptors to the notify
 * socket. It is given references (O_PATH) to both as descriptors 3 and 4, since no name leads there. Where it is started as root it gives root up.
 */
import { openSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { os } from '../src/os/index.ts';

const nobody = 65_534;
const { sockets } = os();
// The library is loaded now: its file may be where a stranger cannot look.
sockets.close(sockets.open('unix', 4));
if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(nobody);
  process.setuid?.(nobody);
}

const lines = [
  'null\n',
  '{"kind":"hello"}\n',
  '{"kind":"failed","token":"x"}\n',
  '{"kind":"stop"}\n',
  '['.repeat(5_000),
  '\0\n',
  'x'.repeat(2_000_000),
];
let connected = 0;
for (let i = 0; i < 60; i++) {
  const socket = connect('/proc/self/fd/3');
  socket
    .on('error', () => {})
    .on('connect', () => {
      connected += 1;
      socket.write(lines[i % lines.length] ?? '');
    });
}

const messages = ['READY=1', 'STATUS=hacked', 'WATCHDOG=trigger', 'STOPPING=1', '=\n=\n', '\0'.repeat(4_096)];
let sent = 0;
for (let i = 0; i < 40; i++) {
  const fd = sockets.open('unix-datagram', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path: '/proc/self/fd/4' });
    // A message with descriptors costs hold a process, so there are few of them.
    const descriptors = i % 20 === 0 ? [fd, openSync('/dev/null', 'r')] : [];
    sockets.sendDescriptors(fd, descriptors, Buffer.from(messages[i % messages.length] ?? ''));
    sent += 1;
  } catch {
    // Its queue is full, or the server is gone.
  } finally {
    sockets.close(fd);
  }
}
await sleep(1_000);
process.stdout.write(`${connected} ${sent}`, () => process.exit());
