/**
 * Sockets that a service manager opened for this process (sd_listen_fds(3)).
 */

/** The first one; the others follow (SD_LISTEN_FDS_START). */
const firstDescriptor = 3;
/** More than any unit has; a wrong variable must not make us look at millions. */
const mostDescriptors = 1_024;

/** The descriptors that were passed to exactly this process; none when the variables belong to somebody else. */
export function receivedDescriptors(environment: NodeJS.ProcessEnv): number[] {
  const count = Number(environment['LISTEN_FDS']);
  if (environment['LISTEN_PID'] !== String(process.pid)) return [];
  if (!Number.isInteger(count) || count < 1 || count > mostDescriptors) return [];
  return Array.from({ length: count }, (_, index) => firstDescriptor + index);
}
