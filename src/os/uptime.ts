/** Milliseconds of a clock that nobody sets, as performance.now() tells them; the module of that takes almost a millisecond to load. */
export function uptimeMs(): number {
  return 1_000 * process.uptime();
}
