/**
 * What `rebind check` finds in the files that start servers and stand before them.
 */

/** One thing that will go wrong, or may. */
export interface Finding {
  /** Names the rule, the same in every file. */
  readonly rule: string;
  /** From 1. */
  readonly line: number;
  /** `fault`: it will happen as said. `note`: it depends on what the file does not show. */
  readonly level: 'fault' | 'note';
  /** What is wrong, one sentence. */
  readonly sentence: string;
  /** What happens because of it, with what was measured. */
  readonly reason: string;
  /** The line as it should be, or null where only the author can know. */
  readonly fix: string | null;
}

/** What a file says that matters to the others. */
export interface Claims {
  /** How long the server goes on accepting after it is asked to end, as written. */
  readonly lameDuckMs: number | null;
  /** How long a load balancer needs to notice, and where that stands. */
  readonly needed: { readonly ms: number; readonly line: number; readonly words: string } | null;
}

/** What a file was read as. */
export type FileKind = 'Dockerfile' | 'Compose' | 'Kubernetes' | 'nginx' | 'HAProxy' | 'package.json';

/** One file, checked. */
export interface Checked {
  readonly kind: FileKind;
  readonly findings: readonly Finding[];
  /** What could not be judged, such as the values of a template. */
  readonly gaps: readonly string[];
  readonly claims: Claims;
}

/** The claims of a file that makes none. */
export const noClaims: Claims = { lameDuckMs: null, needed: null };

/** A file that cannot be read as what it is. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}
