/**
 * The one table of commands. The parser, the help, the completions, the man page and docs/cli.md come from it.
 * Adding a command is one entry here and one file in commands/ that exports `run`.
 */
import type { Command } from './command.ts';
import { bindFlags, endpointPage, jsonFlag } from './flags.ts';
import { timePage } from './time.ts';

const hiddenCommand = { operands: [], flags: [], page: [], examples: [], hidden: true } as const;

export const commands: readonly Command[] = [
  {
    name: 'why',
    summary: 'Say whether an endpoint can be bound, and if not: why, who holds it, and what to do',
    page: [
      'Tries the bind with exactly the options given here, on a socket that is thrown away at once and never listens. Where the bind fails it names the cause, every process behind it, how long it lasts where that is known, and what would help, gentlest first. Nothing is changed.',
      ...endpointPage,
    ],
    operands: [{ name: 'endpoint', summary: 'an endpoint, such as 3000', values: 'endpoints' }],
    flags: [...bindFlags, jsonFlag],
    examples: [
      { command: 'rebind 3000', summary: 'Why can Node not listen on port 3000?' },
      { command: 'rebind why 127.0.0.1:3000 --json', summary: 'The same for a program to read' },
      { command: 'rebind why udp/53', summary: 'A UDP port' },
      { command: 'rebind why ./app.sock', summary: 'A Unix socket' },
      { command: 'rebind why 80 --no-reuse-address', summary: 'For a program that does not set SO_REUSEADDR' },
    ],
    load: () => import('./commands/why.ts'),
  },
  {
    name: 'free',
    summary: 'Make endpoints bindable without harming anything else',
    page: [
      'Does the gentlest thing that works: waits for what is about to end, asks the service, container or process that holds the port to stop and waits until it has, removes what nobody owns. It has succeeded when the bind that was asked about would succeed, not when a signal was sent.',
      'Clients of the port are left alone, and so are this command itself, everything that it runs inside of, and process 1. A process of another user or of another project, a service or a container is only stopped after a yes: on the terminal, or with --yes.',
      timePage,
      ...endpointPage,
    ],
    operands: [{ name: 'endpoint', summary: 'endpoints, such as 3000', count: 'some', values: 'endpoints' }],
    flags: [
      { name: 'dry-run', short: 'n', summary: 'Print what would be done, and do nothing' },
      { name: 'yes', short: 'y', summary: 'Also do what is not plainly safe' },
      { name: 'grace', value: { name: 'TIME' }, summary: 'How long a process may take to end; 10s unless given' },
      {
        name: 'timeout',
        value: { name: 'TIME' },
        summary:
          'How long to wait for what only time removes, such as TIME_WAIT; not longer than a second unless given',
      },
      {
        name: 'force',
        summary: 'Kill who does not end in time, and cut the connections of clients that took the port',
      },
      ...bindFlags,
      jsonFlag,
    ],
    examples: [
      { command: 'rebind free 3000', summary: 'Free port 3000 for a Node server' },
      { command: 'rebind free 3000 --dry-run', summary: 'See what that would do' },
      { command: 'rebind free 3000 5432 --yes', summary: 'Two ports, also those of services and containers' },
      { command: 'rebind free 8080 --timeout 60s', summary: 'Wait for leftovers of connections, if need be' },
    ],
    onSignal: 'abort',
    load: () => import('./commands/free.ts'),
  },
  {
    name: 'wait',
    summary: 'Wait until an endpoint can be bound, or until somebody listens on it',
    page: [
      'Sleeps until the kernel tells that a socket or a process has ended, or until the time of a leftover is over. It never connects to the port, so it can never answer itself.',
      'With --for open, a port alone is open as soon as somebody listens on it on any address of this machine, and the answer says on which. To be sure that clients of one address get through, ask about that one, such as 127.0.0.1:3000.',
      timePage,
      ...endpointPage,
    ],
    operands: [{ name: 'endpoint', summary: 'an endpoint, such as 3000', values: 'endpoints' }],
    flags: [
      {
        name: 'for',
        value: { name: 'STATE', values: ['free', 'open'] },
        summary: 'free (the default): it can be bound; open: somebody listens',
      },
      {
        name: 'pid',
        value: { name: 'PID' },
        summary: 'With --for open: the listener must be this process or one that it started',
      },
      {
        name: 'timeout',
        value: { name: 'TIME' },
        summary: 'Give up after this time, with exit status 1; never unless given',
      },
      ...bindFlags,
      jsonFlag,
    ],
    examples: [
      { command: 'rebind wait 3000 && node server.js', summary: 'Start as soon as the port is free' },
      { command: 'rebind wait 3000 --for open --timeout 30s', summary: 'Until a server is ready' },
      {
        command: 'rebind wait 3000 --for open --pid $!',
        summary: 'Until the server that was just started is ready, and no other',
      },
    ],
    onSignal: 'abort',
    load: () => import('./commands/wait.ts'),
  },
  {
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
      { name: 'status', summary: 'Ask the hold of the endpoint what is going on' },
      { name: 'restart', summary: 'Ask the hold of the endpoint to restart its command, and wait for the outcome' },
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
    load: () => import('./commands/hold.ts'),
  },
  {
    name: 'ls',
    summary: 'List every listening or bound port and who holds it',
    page: [
      'Lists TCP and UDP sockets that listen or are bound, also those that are bound and do not listen, which most tools leave out. A holder that this user may not see is shown as not visible, never as absent.',
    ],
    operands: [],
    flags: [jsonFlag],
    examples: [
      { command: 'rebind ls', summary: 'Every port, sorted' },
      { command: 'sudo rebind ls', summary: 'With the processes of all users' },
    ],
    load: () => import('./commands/ls.ts'),
  },
  {
    name: 'demo',
    summary: 'Bring a cause about for real, explain it, and clean up',
    page: [
      'Without a name it lists the causes. With one it starts processes of its own that bring the cause about, in a network namespace of their own where this machine allows it, shows the page of the cause and what "rebind why" answers, and ends what it started. Nothing else is touched.',
    ],
    operands: [{ name: 'cause', summary: 'the name of a cause', count: 'optional', values: 'causes' }],
    flags: [],
    examples: [
      { command: 'rebind demo', summary: 'List the causes' },
      { command: 'rebind demo time-wait', summary: 'See a port that a closed connection still blocks' },
    ],
    onSignal: 'abort',
    load: () => import('./commands/demo.ts'),
  },
  {
    name: 'completion',
    summary: 'Print the completion script of a shell',
    page: [
      "For bash: echo 'source <(rebind completion bash)' >> ~/.bashrc. For zsh: rebind completion zsh > a file named _rebind in a directory of $fpath. For fish: rebind completion fish > ~/.config/fish/completions/rebind.fish.",
    ],
    operands: [{ name: 'shell', summary: 'the name of a shell: bash, zsh or fish', values: ['bash', 'zsh', 'fish'] }],
    flags: [],
    examples: [{ command: 'source <(rebind completion bash)', summary: 'Try it in this bash' }],
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'help',
    summary: 'Show how a command is used, or the page of a cause',
    page: [
      'Without a word it lists the commands. The name of a cause, as an answer of "rebind why" ends with, shows its page.',
    ],
    operands: [{ name: 'topic', summary: 'the name of a command or of a cause', count: 'optional', values: 'topics' }],
    flags: [],
    examples: [
      { command: 'rebind help', summary: 'List the commands' },
      { command: 'rebind help time-wait', summary: 'What a port in TIME_WAIT is, and how to prevent it' },
    ],
    load: () => import('./commands/help.ts'),
  },
  {
    // The completion scripts ask it for what only this machine knows.
    ...hiddenCommand,
    name: '__values',
    summary: 'Print the values that a completion can offer',
    operands: [{ name: 'kind', summary: 'endpoints or topics', values: ['endpoints', 'causes', 'topics'] }],
    load: () => import('./commands/values.ts'),
  },
];
