/**
 * Values that Node reads as something else than the person meant, mostly out of an environment variable.
 */

/** A scheme, or an address and a port in one text: what nobody calls a socket file. */
const notAPath = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?<host>\[[^\]]*\]|[^/:]*):(?<port>\d{1,5})\/?$|^[a-z][a-z0-9+.-]*:\/\//i;

/** The lines for an error of listen() whose "path" is an address; null when it is none. */
export function takenForPath(error: { readonly syscall?: string; readonly address?: string | null }): string[] | null {
  const { address } = error;
  if (error.syscall !== 'listen' && error.syscall !== 'bind') return null;
  const found = typeof address === 'string' ? notAPath.exec(address) : null;
  if (found === null) return null;
  const { host, port } = found.groups ?? {};
  const name = host?.replace(/^\[|\]$/g, '');
  const instead =
    port === undefined
      ? 'Pass the port as a number'
      : `Pass the port and the host apart: listen(${port}${name === undefined || name === '' ? '' : `, '${name}'`})`;
  return [`'${address}' is no port number, so Node took it as the path of a Unix socket`, instead];
}

/** The lines for a host that has no address. `environment` may show where the value comes from. */
export function noAddress(host: string, environment: NodeJS.ProcessEnv): string[] {
  const from = ['HOST', 'HOSTNAME', 'BIND', 'ADDRESS', 'LISTEN'].find((name) => environment[name] === host);
  const value = from === undefined ? `'${host}'` : `'${host}', which is the value of ${from},`;
  return [
    `The host ${value} has no address on this system, so nothing was bound`,
    "Leave the host out to listen on every address, or pass '127.0.0.1' or '::1'",
  ];
}
