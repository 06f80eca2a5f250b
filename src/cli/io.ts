/**
 * What a command may touch of its surroundings: two streams, the environment, a clock, and being interrupted.
 */
import { styleText } from 'node:util';
import type { Program } from './pasted.ts';

/** The parts of a stream that matter: a terminal knows its width. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  /** True when stderr is a terminal; asking the stream would make it. */
  readonly isInteractive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How the command is typed; as `rebind` when it is not given. */
  readonly program?: Program;
  /** Milliseconds since 1970. */
  now(): number;
  /** Aborted by Ctrl-C for the commands that clean up. */
  readonly signal: AbortSignal;
}

/** The few styles that stay readable on light and on dark backgrounds: no yellow, no blue, no background. */
export type Style = 'bad' | 'good' | 'unsure' | 'strong' | 'faint';

const formats = {
  bad: ['bold', 'red'],
  good: ['bold', 'green'],
  unsure: ['bold', 'magenta'],
  strong: ['bold'],
  faint: ['dim'],
} as const satisfies Record<Style, readonly string[]>;

/** What a renderer needs to know about the place its text goes to. */
export interface Canvas {
  /** Columns of the terminal; 80 where there is none, or where it reports 0 as those of some editors and CI do. */
  readonly width: number;
  /** False for a terminal that cannot show more than ASCII. */
  readonly unicode: boolean;
  paint(style: Style, text: string): string;
  /** How commands to paste begin; as `rebind` when it is not given. */
  readonly program?: Program;
  /** The user's home directory, written as `~`. */
  readonly home?: string;
}

/** Colour follows NO_COLOR, FORCE_COLOR and whether the stream is a terminal, as util.styleText does. */
export function canvas(io: Io, stream: 'stdout' | 'stderr' = 'stdout'): Canvas {
  const output = io[stream];
  return {
    width: Math.max(20, Math.min(output.columns || 80, 120)),
    unicode: showsUnicode(io.env),
    ...(io.program === undefined ? {} : { program: io.program }),
    ...(io.env['HOME'] === undefined ? {} : { home: io.env['HOME'] }),
    // One format at a time: with a list of them, Node 20 paints whatever the stream is.
    paint: (style, text) =>
      output.isTTY !== true && io.env['FORCE_COLOR'] === undefined
        ? text
        : formats[style].reduceRight<string>(
            (painted, format) =>
              styleText(format, painted, { validateStream: true, stream: output as NodeJS.WritableStream }),
            text,
          ),
  };
}

/** A locale that is set to plain ASCII, and the terminals that cannot do better. No locale at all is common in containers and says nothing. */
function showsUnicode(env: Io['env']): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return !/^(C|POSIX)$/.test(locale) && env['TERM'] !== 'linux' && env['TERM'] !== 'dumb';
}
