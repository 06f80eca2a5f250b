/**
 * A server that takes its port over from its predecessor. PORT; MODE: drain (default), deaf (ignores SIGTERM), bare (no handler),
 * dies (ends when it is asked, at once), plain (listens as any Node program), child (another process has the socket, too). PATH_TO: a Unix socket
 * instead. UDP: datagrams instead. TITLE: what it calls itself. ABORT_MS: when it gives up. NO_COPY: the system lets nobody copy a descriptor.
 * Prints one JSON line when it listens, or why it does not.
 */
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import http from 'node:http';
import { close, descriptor, isBlockedPortError, listen } from '../../../src/index.ts';
import { os } from '../../../src/os/index.ts';

const mode = process.env['MODE'] ?? 'drain';
const { PATH_TO, UDP, TITLE, ABORT_MS, NO_COPY, HOST = '127.0.0.1' } = process.env;
const server =
  UDP === undefined
    ? http.createServer((request, response) => {
        const delayMs = Number(new URL(request.url ?? '/', 'http://x').searchParams.get('delay') ?? 5);
        setTimeout(() => response.end(String(process.pid)), delayMs);
      })
    : dgram.createSocket('udp4');
if (TITLE !== undefined) process.title = TITLE;
if (NO_COPY !== undefined) {
  // As under Yama, or in a container without CAP_SYS_PTRACE.
  const { processes } = os();
  const { open } = processes;
  Object.assign(processes, {
    open: (...args: Parameters<typeof open>) => {
      const handle = Reflect.apply(open, processes, args);
      return handle && Object.assign(handle, { takeDescriptor: () => ({ fd: null, why: 'EPERM' }) });
    },
  });
}
const enough = new AbortController();
if (ABORT_MS !== undefined) setTimeout(() => enough.abort(), Number(ABORT_MS));
if (mode === 'deaf') process.on('SIGTERM', () => {});
if (mode === 'dies') process.on('SIGTERM', () => process.exit(0));
const say = (line: object): void => void process.stdout.write(`${JSON.stringify({ pid: process.pid, ...line })}\n`);
try {
  const port = Number(process.env['PORT']);
  if (mode === 'plain') {
    await new Promise<void>((resolve) => (server as http.Server).listen(port, HOST, resolve));
    say({ port });
  } else {
    const from = process.env['FROM'];
    const at = await listen(server, {
      ...(PATH_TO === undefined ? { port, host: HOST } : { path: PATH_TO }),
      signal: enough.signal,
      busy: 'take-over',
      takeOver: {
        timeoutMs: Number(process.env['TIMEOUT_MS'] ?? 10_000),
        force: process.env['FORCE'] === '1',
        ...(from !== undefined && { from: Number(from) }),
      },
    });
    if (mode === 'drain') close.onSignals(server, { idleMs: 300 });
    if (mode === 'child')
      spawn(process.execPath, ['-e', "require('net').createServer().listen({ fd: 3 })"], {
        // Not our stderr: its reader would also wait for this child.
        stdio: ['ignore', 'ignore', 'ignore', descriptor(server)],
      });
    say({ port: at.port, predecessor: at.predecessor });
  }
} catch (error) {
  const cause = (error as Error).cause;
  say({
    error: (error as Error).message,
    code: (error as NodeJS.ErrnoException).code,
    blocked: isBlockedPortError(error),
    why: cause instanceof Error ? cause.message : '',
    listening: 'listening' in server && server.listening,
  });
}
