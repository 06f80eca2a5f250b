import type { Command } from '../command.ts';
import { endpointPage, jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const holdEntry: Command = {
  name: 'hold',
  summary: 'Keep the port open while a command restarts, crashes or is replaced',
  page: [
    'Opens the endpoints itself and starts the command on them. When the command restarts, the new one starts beside the old one and takes over when it is ready; the old one finishes its connections and ends. A newcomer that crashes or hangs is ended, and the old one goes on. Nobody who connects is refused.',
    'Node programs need no change, also below npm, npx, tsx or nodemon. Other programs find the sockets as systemd passes them (LISTEN_FDS). Without an endpoint, the port is learned from a Node program when it first listens.',
    'Restart it with SIGHUP, with --watch, or with "rebind hold --restart 3000" from another terminal. SIGTERM ends it when open connections have finished, Ctrl-C at once, and a second signal kills. Ctrl-Z stops the command too, and when the terminal is closed everything ends. The exit status is that of the command.',
    timePage,
    ...endpointPage,
  ],
  operands: [{ name: 'endpoint', summary: 'endpoints, such as 3000', count: 'any', values: 'endpoints' }],
  rest: { name: 'command', summary: 'the program and its arguments', count: 'optional' },
  flags: [
    {
      name: 'watch',
      short: 'w',
      value: { name: 'PATH' },
      repeatable: true,
      summary: 'Restart when this file, or anything in this directory, changes',
    },
    { name: 'overlap', negatable: true, summary: 'Start the new one beside the old one, or not; the default is to' },
    { name: 'hand-off', summary: 'Move idle HTTP/1.1 connections to the new Node program instead of closing them' },
    { name: 'take-over', summary: 'Start on the socket of whoever listens there now, and then ask it to finish' },
    {
      name: 'grace',
      value: { name: 'TIME' },
      summary: 'How long connections and the old program have; 10s unless given',
    },
    {
      name: 'stop-signal',
      value: { name: 'SIGNAL', values: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] },
      summary: 'What asks the old program to finish, such as SIGQUIT for nginx; SIGTERM unless given',
    },
    {
      name: 'linger',
      value: { name: 'TIME' },
      summary: 'How long a connection must be silent before it is closed; 1s unless given',
    },
    {
      name: 'ready',
      value: { name: 'HOW', values: ['auto', 'listening', 'notify', 'message'] },
      summary:
        'What counts as ready: the server listens, READY=1 of sd_notify, or process.send("ready"); auto takes the first',
    },
    {
      name: 'ready-timeout',
      value: { name: 'TIME' },
      summary: 'How long a newcomer has to become ready; 30s unless given',
    },
    {
      name: 'assume-ready',
      value: { name: 'TIME' },
      summary: 'Take a program that lives this long as ready, without evidence',
    },
    { name: 'status', summary: 'Ask the hold of the endpoint what is going on; without an endpoint, all your holds' },
    { name: 'restart', summary: 'Ask the hold of the endpoint to restart its command, and wait for the outcome' },
    { name: 'stop', summary: 'Ask the hold of the endpoint to stop, as SIGTERM does, and wait until its command has' },
    { name: 'unit', summary: 'Print a systemd socket and service that keep the port open without this command' },
    { name: 'quiet', short: 'q', summary: 'Print nothing but the output of the command' },
    jsonFlag,
  ],
  examples: [
    { command: 'rebind hold 3000 -- npm start', summary: 'Keep port 3000 for a Node program' },
    {
      command: 'rebind hold --watch src -- node server.js',
      summary: 'Learn the port, and restart after each edit that works',
    },
    { command: 'rebind hold 8000 -- gunicorn app:app', summary: 'Any program that knows socket activation' },
    { command: 'rebind hold --restart 3000', summary: 'Deploy: the old version serves until the new one is ready' },
  ],
  onSignal: 'own',
  effect: 'write',
  fast: false,
  load: () => import('../commands/hold.ts'),
};
