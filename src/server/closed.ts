/** What became of the connections. */
export interface Closed {
  /** Ended by themselves: the last answer was sent, the stream was finished, or the client went. */
  readonly finished: number;
  /** Closed while nothing was in flight. */
  readonly idle: number;
  /** Reset when the grace was over. */
  readonly killed: number;
  /** Pieces of work given to `close.track` that were not finished when the grace was over. */
  readonly workLeft: number;
  /** How long it went on accepting. */
  readonly lameDuckMs: number;
  readonly elapsedMs: number;
}
