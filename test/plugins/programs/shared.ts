/** What the programs of this folder share: an answer that takes a while, and a word at each step of the end. */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PluginOptions } from '../../../src/plugins/options.ts';

export const target = { port: 0, host: '127.0.0.1' };

/** @param delay In ms; a query's value, whatever the framework makes of it */
export async function answer(delay: unknown): Promise<string> {
  if (delay !== undefined && delay !== null) said('asked');
  await sleep(Number(delay ?? 0));
  return 'done';
}

export function options(name: string): PluginOptions & { readonly lameDuckMs: number } {
  return { lameDuckMs: 600, graceMs: 5000, idleMs: 200, after: [() => said(`after ${name}`)] };
}

/** A line that is written before the process goes on. */
export function said(line: string): void {
  writeSync(1, `${line}\n`);
}

export function ready(port: number): void {
  said(`listening ${port}`);
}
