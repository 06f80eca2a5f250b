/**
 * Who starts a process, and would start it again: the one table of managers. How each is recognised, what it is called, whether it
 * starts its program again, and what may never be ended. Pure.
 *
 * Names, arguments and cgroups are text that a process chose: they only raise a question. `ask/managers/` puts it to the manager.
 */
import { baseOf, isNode, ownFlags } from './command-words.ts';
import type { Holder } from './facts.ts';
import { agents, editors, heldCommand, reloaderOf, runners, scriptOf, shells, type Words } from './manager-signs.ts';

/** A manager; more may be added. */
export type ManagerKind =
  | 'systemd'
  | 'inetd'
  | 'docker'
  | 'podman'
  | 'containerd'
  | 'container'
  | 'pm2'
  | 'supervisord'
  | 'launchd'
  | 'airplay'
  | 'orbstack'
  | 'lima'
  | 'nodemon'
  | 'node-watch'
  | 'tsx'
  | 'uvicorn'
  | 'gunicorn'
  | 'puma'
  | 'reloader'
  | 'jest'
  | 'vitest'
  | 'node-test'
  | 'shell-loop'
  | 'hold'
  | 'npm'
  | 'pnpm'
  | 'yarn'
  | 'bun'
  | 'node-run'
  | 'runner'
  | 'ssh'
  | 'editor'
  | 'agent'
  | 'debugger';

/**
 * `service`: runs several programs, is asked over a channel of its own, and is never ended. `watcher`: runs one program, starts it again, and ends
 * with it on SIGTERM. `keeper`: rebind hold. `script`: started it and does not start it again. `place`: an editor, a session, a debugger it runs under.
 */
export type ManagerRole = 'service' | 'watcher' | 'keeper' | 'script' | 'place';

export type ManagerPart = 'engine' | 'forwarder';

/** How a manager is told to stop one program. */
export type StopWork =
  /** A program of the manager's, found on the PATH when it is run. `uid`: run as that user, null as ourselves. */
  | {
      readonly kind: 'command';
      readonly program: string;
      readonly args: readonly string[];
      readonly uid: number | null;
    }
  /** Over the manager's own socket, which must belong to `uid`. */
  | { readonly kind: 'pm2'; readonly socket: string; readonly uid: number; readonly ids: readonly number[] }
  | { readonly kind: 'supervisord'; readonly socket: string; readonly uid: number; readonly program: string };

/** What started a holder. */
export interface Manager {
  readonly kind: ManagerKind;
  /** The unit, container, application, script or user that it is known by; raw text. */
  readonly name: string | null;
  /** The manager's own process, where there is one that can be seen. */
  readonly pid: number | null;
  /** True when the kernel, or the manager itself, asked with our own rights, says that it runs exactly this process. */
  readonly confirmed: boolean;
  /** Why it is not confirmed, once it was asked. */
  readonly unconfirmed: string | null;
  /** A container whose processes are frozen. */
  readonly paused: boolean;
  /** What the holder is of the manager, where it is not a program that the manager runs: the engine, or a process that holds the port for it. */
  readonly part: ManagerPart | null;
  /** How it is told to stop this program alone; null where nothing can be told. */
  readonly order: StopOrder | null;
  /** A watcher's own process: it is asked to end in place of its program. */
  readonly process: Holder | null;
}

export interface StopOrder {
  /** What a person would type. */
  readonly shown: string;
  readonly work: StopWork;
}

export interface Row {
  readonly role: ManagerRole;
  /** In a sentence: "pm2 runs it". */
  readonly called: string;
  /** What it runs, with the article. */
  readonly runs: string;
  /** When it starts its program again, so that ending only that is no use; null when it does not. */
  readonly again: string | null;
  /** The name under which the process is known, `''` when it has none; null when it is another program. Left out for what a cgroup or an engine tells. */
  readonly recognise?: (words: Words, programs: readonly string[]) => string | null;
}

const whenItExits = 'when it exits';
const whenFilesChange = 'when a file changes';
const isRun =
  (...names: readonly string[]) =>
  (_words: Words, programs: readonly string[]) =>
    programs.some((program) => names.includes(program)) ? '' : null;

/** An endless loop that is the last thing a shell does: whoever runs below it was started in it, and would be again. */
const endsInLoop =
  /(?:^|[;&|({\n]|\b(?:do|then|else)\s)\s*(?:(?:while|until)\s|for\s*\(\()[\s\S]*[;\n]\s*do\s[\s\S]*[;&\n]\s*done\s*(?:\d*[<>&|][^;\n]*)?\s*$/;

/** Every manager. */
export const managers: Readonly<Record<ManagerKind, Row>> = {
  systemd: { role: 'service', called: 'systemd', runs: 'the service', again: whenItExits },
  inetd: {
    role: 'service',
    called: 'inetd',
    runs: 'the service',
    again: 'when somebody connects',
    recognise: isRun('xinetd', 'inetd', 'openbsd-inetd', 'inetutils-inetd'),
  },
  docker: { role: 'service', called: 'docker', runs: 'the container', again: whenItExits },
  podman: { role: 'service', called: 'podman', runs: 'the container', again: whenItExits },
  containerd: { role: 'service', called: 'containerd', runs: 'the container', again: whenItExits },
  /** An engine that cannot be asked: LXC, systemd-nspawn, Kubernetes. */
  container: { role: 'service', called: 'a container engine', runs: 'the container', again: whenItExits },
  pm2: {
    role: 'service',
    called: 'pm2',
    runs: 'the application',
    again: whenItExits,
    recognise: ({ command, argv }) =>
      command.startsWith('PM2 v') || /^PM2 v.*God Daemon/.test(argv[0] ?? '') ? '' : null,
  },
  supervisord: {
    role: 'service',
    called: 'supervisord',
    runs: 'the program',
    again: whenItExits,
    recognise: isRun('supervisord'),
  },
  launchd: { role: 'service', called: 'launchd', runs: 'the service', again: whenItExits },
  /** ControlCenter of macOS, which has its ports for AirPlay. */
  airplay: { role: 'service', called: 'macOS', runs: 'AirPlay Receiver', again: whenItExits },
  orbstack: { role: 'service', called: 'OrbStack', runs: 'the container', again: whenItExits },
  /** Lima and Colima forward the ports of a virtual machine by ssh, or in their own process. */
  lima: { role: 'place', called: 'Lima', runs: 'the forwarding', again: null },
  nodemon: {
    role: 'watcher',
    called: 'nodemon',
    runs: 'the program',
    again: whenFilesChange,
    recognise: isRun('nodemon'),
  },
  'node-watch': {
    role: 'watcher',
    called: 'node --watch',
    runs: 'the program',
    again: whenFilesChange,
    recognise: ({ argv }) =>
      isNode(argv) && ownFlags(argv).some((flag) => /^--watch(-path)?(=|$)/.test(flag)) ? '' : null,
  },
  tsx: {
    role: 'watcher',
    called: 'tsx watch',
    runs: 'the program',
    again: whenFilesChange,
    recognise: ({ argv }, programs) =>
      (programs.includes('tsx') || argv.some((word) => /\/tsx\/dist\/cli\.m?js$/.test(word))) && argv.includes('watch')
        ? ''
        : null,
  },
  uvicorn: { role: 'watcher', called: 'uvicorn', runs: 'the worker', again: whenItExits, recognise: isRun('uvicorn') },
  gunicorn: {
    role: 'watcher',
    called: 'gunicorn',
    runs: 'the worker',
    again: whenItExits,
    recognise: ({ argv }, programs) =>
      programs.includes('gunicorn') || (argv[0] ?? '').startsWith('gunicorn: master') ? '' : null,
  },
  puma: {
    role: 'watcher',
    called: 'puma',
    runs: 'the worker',
    again: whenItExits,
    recognise: ({ argv }, programs) => (programs.includes('puma') || /^puma \d/.test(argv[0] ?? '') ? '' : null),
  },
  reloader: {
    role: 'watcher',
    called: 'a reloader',
    runs: 'the program',
    again: whenFilesChange,
    recognise: ({ argv }, programs) => reloaderOf(argv, programs),
  },
  jest: { role: 'watcher', called: 'jest', runs: 'the test run', again: null, recognise: isRun('jest') },
  vitest: {
    role: 'watcher',
    called: 'vitest',
    runs: 'the test run',
    again: null,
    recognise: ({ argv }, programs) => (programs.includes('vitest') || argv[0] === 'node (vitest)' ? '' : null),
  },
  'node-test': {
    role: 'watcher',
    called: 'node --test',
    runs: 'the test run',
    again: null,
    recognise: ({ argv }) => (isNode(argv) && ownFlags(argv).includes('--test') ? '' : null),
  },
  'shell-loop': {
    role: 'watcher',
    called: 'a shell loop',
    runs: 'the program',
    again: whenItExits,
    recognise: ({ argv }) => {
      const [shell = '', ...words] = argv;
      if (!shells.test(baseOf(shell))) return null;
      const at = words.findIndex((word) => /^-[a-z]*c$/.test(word));
      return at >= 0 && endsInLoop.test(words[at + 1] ?? '') ? '' : null;
    },
  },
  hold: {
    role: 'keeper',
    called: 'rebind hold',
    runs: 'the command',
    again: whenItExits,
    recognise: ({ argv }, programs) => (programs.includes('rebind') ? heldCommand(argv) : null),
  },
  npm: {
    role: 'script',
    called: 'npm',
    runs: 'the script',
    again: null,
    recognise: scriptOf('npm', 'npm-cli', 'npx', 'npx-cli'),
  },
  pnpm: { role: 'script', called: 'pnpm', runs: 'the script', again: null, recognise: scriptOf('pnpm') },
  yarn: { role: 'script', called: 'yarn', runs: 'the script', again: null, recognise: scriptOf('yarn', 'yarnpkg') },
  bun: {
    role: 'script',
    called: 'bun',
    runs: 'the script',
    again: null,
    recognise: ({ argv }) => (baseOf(argv[0] ?? '') === 'bun' && argv[1] === 'run' ? (argv[2] ?? '') : null),
  },
  'node-run': {
    role: 'script',
    called: 'node --run',
    runs: 'the script',
    again: null,
    recognise: ({ argv }) => {
      const at = isNode(argv) ? argv.indexOf('--run') : -1;
      return at < 0 ? null : (argv[at + 1] ?? '');
    },
  },
  /** Starts several programs, and none of them again: ending it would end the others. */
  runner: {
    role: 'script',
    called: 'a runner',
    runs: 'the programs',
    again: null,
    recognise: (_words, programs) => programs.find((program) => runners.has(program)) ?? null,
  },
  ssh: { role: 'place', called: 'an ssh session', runs: 'the forwarding', again: null },
  editor: {
    role: 'place',
    called: 'an editor',
    runs: 'the program',
    again: null,
    recognise: (_words, programs) => programs.find((program) => editors.has(program)) ?? null,
  },
  agent: {
    role: 'place',
    called: 'a coding agent',
    runs: 'the program',
    again: null,
    recognise: (_words, programs) => programs.find((program) => agents.has(program)) ?? null,
  },
  debugger: { role: 'place', called: 'a debugger', runs: 'the program', again: null },
};
