/**
 * A situation in which people ask for a port: how it is brought about, and what a true answer is.
 */
import type { Stage } from '../../src/stage/stage.ts';
import type { World } from '../../test/free/world.ts';

/** What a tool is asked to do. */
export type Job = 'explain' | 'free' | 'wait' | 'open';

/** The situation as it stands. */
export interface Standing {
  /** What is asked about, as a user would type it for rebind: a port, an address with a port, or a path. */
  readonly endpoint: string;
  /** What tools that know only ports are given; null when they cannot be asked. */
  readonly port: string | null;
  /** Processes that a true explanation names. @default none */
  readonly holders?: readonly number[];
  /** Processes that must live, whatever is asked. @default none */
  readonly innocent?: readonly number[];
  readonly cwd?: string;
  /** Added to the environment of the tool. */
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the tool, so that it asks as the right user. */
  readonly askAs?: readonly string[];
  /** Binds as the program that the user wants to start would. */
  readonly bind?: () => Promise<boolean>;
  /** Something may start the server again: the bind is tried once more after this long. */
  readonly againAfterMs?: number;
  /** A sentence about what was harmed beside the processes, or null. */
  readonly harm?: () => Promise<string | null>;
}

export interface Scene {
  readonly id: string;
  /** One line for the table. */
  readonly title: string;
  /** Options of the planned bind, which only rebind can be told. */
  readonly flags?: readonly string[];
  /** What a true explanation says beside the holders: `reason` must be there; `free` when nothing blocks. */
  readonly explain?: { readonly reason?: RegExp; readonly free?: boolean };
  /** `freed`: the port should be bindable afterwards. `left`: nothing may be touched, and the exit status says so. */
  readonly free?: 'freed' | 'left';
  /** Whether waiting for the free port succeeds within two seconds. */
  readonly wait?: 'done' | 'timeout';
  /** Whether waiting for a server succeeds within two seconds. */
  readonly open?: 'done' | 'timeout';
  readonly stand: (world: World, stage: Stage) => Promise<Standing>;
}
