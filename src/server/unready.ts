/** Why they are not ready, and whether that is because they close. */
export interface Unready {
  readonly closing: boolean;
  /** One line. */
  readonly reason: string;
}
