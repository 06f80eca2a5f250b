import type { Command } from '../command.ts';
import { endpointPage, jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const holdEntry: Command = {
  name: 'hold',
  summary: 'Keep the port open while a command restarts, crashes or is replaced',
  page: [
    'Opens the endpoints itself and starts the command on them. On a restart the new process starts beside the old one and takes over when it is ready; the old process finishes its connections and exits. If the new process crashes or hangs, hold stops it and the old one keeps serving. No connection is refused.',
    'Node programs need no change, also under npm, npx, tsx or nodemon. Other programs find the sockets as systemd passes them (LISTEN_FDS). Without an endpoint, hold learns the port when a Node program first listens.',
    'Restart it with SIGHUP, with --watch, or with "rebind hold --restart 3000" from another terminal. SIGTERM stops it after the lame duck and after open connections have finished, Ctrl-C at once; a second signal kills the command. Ctrl-Z also suspends the command. When the terminal is closed, everything stops. The exit status is that of the command.',
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
    {
      name: 'overlap',
      negatable: true,
      summary: 'Start the new process beside the old one, or after it has exited (default: beside)',
    },
    { name: 'hand-off', summary: 'Move idle HTTP/1.1 connections to the new Node program instead of closing them' },
    { name: 'take-over', summary: 'Take over the socket of the program that listens there now, then ask it to stop' },
    {
      name: 'yes',
      short: 'y',
      summary: 'With --take-over: also from a program that rebind free would ask about, such as one of another user',
    },
    {
      name: 'grace',
      value: { name: 'TIME' },
      summary: 'How long the old process may take to finish its connections and exit (default: 10s)',
    },
    {
      name: 'stop-signal',
      value: { name: 'SIGNAL', values: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] },
      summary: 'The signal that asks the old process to finish, such as SIGQUIT for nginx (default: SIGTERM)',
    },
    {
      name: 'linger',
      value: { name: 'TIME' },
      summary: 'How long a connection must be idle before it is closed (default: 1s)',
    },
    {
      name: 'lame-duck',
      value: { name: 'TIME|auto' },
      summary:
        'How long to go on accepting after SIGTERM while /readyz says no and answers say Connection: close; auto learns it from the probes (default: 0)',
    },
    {
      name: 'health',
      value: { name: 'PORT' },
      summary: 'Answer /livez and /readyz on this port, for orchestrators and load balancers',
    },
    {
      name: 'metrics',
      value: { name: 'PORT' },
      summary: 'Answer /metrics on this port, in the text format of Prometheus',
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
      summary: 'How long a new process may take to become ready (default: 30s)',
    },
    {
      name: 'assume-ready',
      value: { name: 'TIME' },
      summary: 'Treat a process that has run this long as ready',
    },
    { name: 'status', summary: 'Show the state of the hold of this endpoint, or of all your holds' },
    { name: 'restart', summary: 'Restart the command of the hold of this endpoint, and wait for the outcome' },
    { name: 'stop', summary: 'Stop the hold of this endpoint as SIGTERM does, and wait until its command has exited' },
    { name: 'unit', summary: 'Print a systemd socket and service that keep the port open without this command' },
    { name: 'quiet', short: 'q', summary: 'Print nothing but the output of the command' },
    jsonFlag,
  ],
  examples: [
    {
      command: 'rebind hold 3000 --lame-duck auto --health 9000 -- npm start',
      summary: 'The ENTRYPOINT of a container: signals, orphans, probes and a drain, for an unmodified program',
    },
    { command: 'rebind hold 0 -- npm start', summary: 'On any free port, which the program gets as PORT' },
    { command: 'rebind hold 3000 -- npm start', summary: 'Hold port 3000 for a Node program' },
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
