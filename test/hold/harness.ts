/**
 * A hold in this process, on a port of its own, with everything it told; and ordinary requests to it.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type LoadMode, load, lostOf } from '../../bench/load.ts';
import { type Hold, type HoldEvents, type HoldOptions, hold } from '../../src/hold/index.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A program in test/fixtures/hold. */
export function fixture(name: string): string {
  return `${root}test/fixtures/hold/${name}`;
}

/** The command of this checkout. */
export const rebind = `${root}build/src/cli/main.js`;

/** A command of a development dependency. */
export function tool(name: string): string {
  return `${root}node_modules/.bin/${name}`;
}

/** The Nodes to test with: this one, and those that `npm ci --prefix test/versions` installed. */
export function nodes(): { readonly name: string; readonly path: string | null }[] {
  const others = [22, 24, 26].map((version) => {
    const path = `${root}test/versions/node_modules/node${version}/bin/node`;
    return { name: `Node ${version}`, path: existsSync(path) ? path : null };
  });
  return [{ name: `Node ${process.versions.node.split('.')[0]}`, path: process.execPath }, ...others];
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

interface Told {
  readonly name: keyof HoldEvents;
  readonly event: unknown;
}

const eventNames = [
  'start',
  'ready',
  'refused',
  'crash',
  'draining',
  'retired',
  'learned',
  'tookOver',
  'changed',
  'note',
  'stopping',
  'leaving',
  'end',
] as const satisfies readonly (keyof HoldEvents)[];

export interface Held extends AsyncDisposable {
  readonly held: Hold;
  readonly port: number;
  readonly told: readonly Told[];
  /** The event of that name, the first or a later one, as soon as it was told. */
  heard<Name extends keyof HoldEvents>(name: Name, count?: number): Promise<HoldEvents[Name][0]>;
  /** The sentences of all notes. */
  notes(): string[];
}

export type StartOptions = Omit<HoldOptions, 'endpoints'> & {
  readonly endpoints?: (port: number) => string[];
  readonly port?: number;
};

/** Holds 127.0.0.1 and a free port, unless told otherwise; ends everything when it is disposed of. */
export async function start(options: StartOptions): Promise<Held> {
  const { endpoints = (chosen: number) => [`127.0.0.1:${chosen}`], port: wanted, ...rest } = options;
  const port = wanted ?? (await freePort());
  const held = await hold({
    graceMs: 5_000,
    lingerMs: 300,
    ...rest,
    endpoints: endpoints(port),
    env: { ...process.env, NODE_OPTIONS: '', PORT: String(port), HOST: '127.0.0.1', ...options.env },
  });
  const told: Told[] = [];
  for (const name of eventNames) held.on(name, (event: unknown) => told.push({ name, event }));
  return {
    held,
    port,
    told,
    heard: (name, count = 1) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`${name} was not told ${count} times within 20 s: ${JSON.stringify(told)}`));
        }, 20_000);
        const look = (): void => {
          const found = told.filter((one) => one.name === name)[count - 1];
          if (found === undefined) return void held.once(name as 'end', () => setImmediate(look));
          clearTimeout(timer);
          resolve(found.event as never);
        };
        look();
      }),
    notes: () =>
      told.filter(({ name }) => name === 'note').map(({ event }) => (event as { sentence: string }).sentence),
    async [Symbol.asyncDispose]() {
      void held.stop('SIGTERM');
      const hurry = setTimeout(() => void held.stop('SIGKILL'), 3_000);
      await held.done;
      clearTimeout(hurry);
    },
  };
}

export interface Traffic {
  /** @default keep-alive and late */
  readonly modes?: readonly LoadMode[];
  /** @default 2 */
  readonly restarts?: number;
  /** When a request counts as left hanging. @default 5000 */
  readonly timeoutMs?: number;
}

/** Restarts under traffic: no request may be lost, and more than one generation must have answered. */
export async function losesNothing(hold: Held, options: Traffic = {}): Promise<void> {
  const { modes = ['keep-alive', 'late'], restarts = 2, timeoutMs = 5_000 } = options;
  await hold.heard('ready');
  const end = new AbortController();
  const traffic = modes.map((mode) =>
    load({ host: '127.0.0.1', port: hold.port, mode, perSecond: 40, signal: end.signal, timeoutMs }),
  );
  for (let i = 0; i < restarts; i++) {
    await sleep(300);
    assert.equal((await hold.held.restart()).outcome, 'done');
  }
  await hold.heard('retired', restarts);
  end.abort();
  for (const result of await Promise.all(traffic)) {
    assert.equal(lostOf(result), 0, JSON.stringify(result));
    assert.ok(result.answers.size >= 2);
  }
}

/** The text of an answer. */
export async function get(port: number, path = '/', host = '127.0.0.1'): Promise<string> {
  const response = await fetch(`http://${host}:${port}${path}`, {
    signal: AbortSignal.timeout(10_000),
    headers: { connection: 'close' },
  });
  return (await response.text()).trim();
}

/** A request that the server has certainly received when `received` resolves: it answers `100 Continue` to the head. */
export function slowGet(port: number): { readonly received: Promise<void>; readonly answer: Promise<string> } {
  const call = request({ host: '127.0.0.1', port, agent: false, headers: { expect: '100-continue' } });
  const received = new Promise<void>((resolve) => call.once('continue', () => resolve()));
  const answer = new Promise<string>((resolve, reject) => {
    call.on('error', reject);
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text.trim())).on('error', reject);
    });
  });
  call.end();
  return { received, answer };
}

/** True while a process of that number exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
