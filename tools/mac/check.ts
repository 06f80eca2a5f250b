/** One thing that is looked at on a real Mac. */
export interface Check {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

/** Runs a look that may fail; what it fails with is what was seen. */
export async function look(name: string, expected: string, see: () => Promise<string> | string): Promise<Check> {
  try {
    return { name, expected, seen: await see() };
  } catch (error) {
    return { name, expected, seen: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}
