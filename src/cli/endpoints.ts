/**
 * What the help, the manual and docs/cli.md say about endpoints.
 */

/** Paragraphs of plain text. */
export const endpointPage: readonly string[] = [
  'An endpoint is where a program wants to listen: 3000, :3000, 127.0.0.1:3000, [::1]:3000, localhost:3000, udp/53, udp/[::]:53, or a Unix socket such as ./app.sock or unix:/run/app.sock. A port alone means the address Node would use: :: for IPv6 and IPv4 together, or 0.0.0.0 on a machine without IPv6.',
];
