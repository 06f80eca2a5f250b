/**
 * The programs of this ring: small, each a situation of its own, and each says all that it sees on stdout. They know nothing of rebind.
 */

export type Door = 'explain' | 'own port' | 'another port' | 'learned port';

export interface Program {
  readonly name: string;
  readonly source: string;
  /** How its file ends. @default cjs */
  readonly as?: 'cjs' | 'mjs' | 'ts' | 'es6' | 'test.cjs';
  /** The first Node that can run it. */
  readonly since?: number;
  /** What stands before the file. @default the Node that is tested */
  readonly command?: (node: string, root: string) => readonly string[];
  /** Doors behind which it differs, and why that is inherent: docs/hold.md says the same. */
  readonly except?: Partial<Record<Door, string>>;
  /** True for those that every `npm test` runs. */
  readonly always?: boolean;
  /** What to hold instead of the port, as hold is told. */
  readonly endpoint?: (port: number) => string;
}

/** Many programs that differ in one expression. */
export function each(
  names: Readonly<Record<string, string>>,
  prefix: string,
  source: (expression: string) => string,
  rest: Partial<Program> = {},
): Program[] {
  return Object.entries(names).map(([name, expression]) => ({
    name: `${prefix}: ${name}`,
    source: source(expression),
    ...rest,
  }));
}

/** Hold starts a program again that served and failed, and what it prints comes again. */
export const again = {
  'own port': 'a program that served and failed is started again',
  'learned port': 'a program that served and failed is started again',
} as const;
