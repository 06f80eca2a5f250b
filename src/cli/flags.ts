/**
 * Flags that more than one command has.
 */
import type { Flag } from './command.ts';

/** Flags that every command has. */
export const commonFlags: readonly Flag[] = [
  { name: 'help', short: 'h', summary: 'Show this help' },
  { name: 'version', short: 'V', summary: 'Show the version' },
];

/** A failure is a document too: a program that reads JSON never has to read text. */
export const jsonFlag: Flag = { name: 'json', summary: 'Print one JSON document, also when it fails' };

/** The options of the planned bind, for every command that asks about one. */
export const bindFlags: readonly Flag[] = [
  {
    name: 'reuse-address',
    negatable: true,
    summary: 'The bind sets SO_REUSEADDR or not (default: as Node, set for TCP and not for UDP)',
  },
  { name: 'reuse-port', summary: 'The bind sets SO_REUSEPORT' },
  { name: 'v6-only', summary: 'The bind sets IPV6_V6ONLY: IPv6 without IPv4' },
  { name: 'device', value: { name: 'NAME' }, summary: 'The bind is for one network interface (SO_BINDTODEVICE)' },
];

/**
 * What the help, the manual and docs/cli.md say about endpoints.
 */

/** Paragraphs of plain text. */
export const endpointPage: readonly string[] = [
  'An endpoint is where a program wants to listen: 3000, :3000, 127.0.0.1:3000, [::1]:3000, localhost:3000, udp/53, udp/[::]:53, or a Unix socket such as ./app.sock or unix:/run/app.sock. A port alone means the address Node would use: :: for IPv6 and IPv4 together, or 0.0.0.0 on a machine without IPv6.',
];
