/**
 * What stands behind the answers on each system. Nobody who wrote rebind has every machine, so what was not run says so: in the table of the
 * documentation, and in the gaps of each answer there.
 */
import type { Gap, Platform } from './facts.ts';

/**
 * `run`: proven by runs of the tests on that system. `code`: by the vendor's own code or headers, run or compiled elsewhere. `text`: by the
 * vendor's text. `unrun`: written, and not yet run there. `no`: it says that it cannot do it there.
 */
export type Evidence = 'run' | 'code' | 'text' | 'unrun' | 'no';

/** What the table has a row for. */
export const parts = {
  rules: 'the bind rules: which socket blocks which bind',
  facts: 'reading sockets, processes and descriptors',
  why: '`why`, `ls`',
  free: '`free`: whom it signals, and that it is that process',
  wait: '`wait`',
  server: '`listen`, `close`, `reserve`, `connect`, the errors',
  options: 'socket options by name',
  hold: '`hold`, `lease`, take-over',
  reach: '`reach`',
  managers: 'what starts a process again: service managers, containers, watchers',
} as const;

export type Part = keyof typeof parts;

/** The systems that something is known of. A system that is missing has Node's own means, and says so. */
export const evidence: { readonly [system in Platform]?: { readonly [part in Part]: Evidence } } = {
  linux: {
    rules: 'run',
    facts: 'run',
    why: 'run',
    free: 'run',
    wait: 'run',
    server: 'run',
    options: 'run',
    hold: 'run',
    reach: 'run',
    managers: 'run',
  },
  darwin: {
    // Apple's own code answered 38,204 times, outside of a Mac (test/fixtures/darwin-bind-sample.json).
    rules: 'code',
    // Structures compiled from Apple's headers, and bytes that Apple's functions wrote (test/fixtures/darwin).
    facts: 'code',
    why: 'unrun',
    free: 'unrun',
    wait: 'unrun',
    server: 'unrun',
    options: 'code',
    hold: 'no',
    reach: 'unrun',
    managers: 'text',
  },
};

const names: Readonly<Record<Platform, string>> = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' };

/** What an answer on a system must say of itself; empty where it has been run. */
export function unprovenOn(platform: Platform): readonly Gap[] {
  const known = evidence[platform];
  if (known === undefined || Object.values(known).every((one) => one === 'run')) return [];
  const name = names[platform];
  return [
    {
      what: `rebind has not been run on ${name} yet: this answer goes by code and documents of its vendor`,
      why: notRun,
      hint: 'Please report whether it is right, with the output of --json',
    },
  ];
}

/** `why` of that gap. */
export const notRun = 'ERR_REBIND_NOT_RUN';
