/**
 * What the situations are made of: servers, clients, and the bind that a user would try.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { tcpStates } from '../../src/stage/ports.ts';
import type { Stage } from '../../src/stage/stage.ts';
import type { Running, World } from '../../test/free/world.ts';
import type { Standing } from './scene.ts';

export const idle = 'setInterval(() => {}, 1e6)';
export const serve = (listen: object): string =>
  `require('net').createServer((socket) => socket.on('error', () => {})).listen(${JSON.stringify(listen)}, () => console.log('ready'))`;
export const client = (port: number): string =>
  `const socket = require('net').connect(${port}, '127.0.0.1', () => console.log('ready')); socket.on('error', () => {}); socket.on('close', () => ${idle})`;

/** Python makes the sockets that Node does not: without SO_REUSEADDR, bound and not listening, inheritable. */
export const python = (world: World, code: string, args: readonly string[] = []): Promise<Running> =>
  world.run(
    ['python3', '-u', '-c', `import os, signal, socket, subprocess, sys, time\n${code}`, ...args],
    /^ready.*\n/m,
  );

export const listener = (port: number, more = ''): string => `s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', ${port}))
s.listen(5)
${more}`;

export const standing = (port: number, more: Partial<Standing> = {}): Standing => ({
  endpoint: String(port),
  port: String(port),
  ...more,
});

/** Leaves a TIME_WAIT that blocks: the server had not set SO_REUSEADDR, and closed first. */
export async function timeWait(world: World, stage: Stage): Promise<number> {
  const port = stage.freePort();
  await python(
    world,
    `a = socket.socket(); a.bind(('127.0.0.1', ${port})); a.listen(5)
c = socket.create_connection(('127.0.0.1', ${port})); b, _ = a.accept()
b.close(); c.close(); a.close(); print('ready'); time.sleep(60)`,
  );
  await stage.settled(port, (states) => states.includes('TIME_WAIT') && !states.includes('LISTEN'));
  return port;
}

/** Whether Node can listen there. */
export function nodeListens(
  where: { readonly port: number; readonly host?: string } | { readonly path: string },
): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ ...where, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export function datagramBinds(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

/** Resolves when a server listens there; npm and pm2 take seconds to start one. */
export async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (tcpStates(port).includes('LISTEN')) return;
    await sleep(100);
  }
  throw new Error(`nothing listens on port ${port} after 30 s`);
}
