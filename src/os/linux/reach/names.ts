/**
 * What the files of this machine say of a name: hosts(5), resolv.conf(5). Nothing is sent.
 */
import { isIpv4, isIpv6 } from '../../../model/address.ts';
import type { NameEvidence } from '../../../model/reach/evidence.ts';
import { attempt, openProc } from '../proc/proc.ts';

const limit = 4_194_304;
/** MAXNS of resolv.h: glibc asks no more of them. */
const mostServers = 3;

export type NameFiles = Pick<NameEvidence, 'hosts' | 'searchDomains'> & { readonly nameServers: readonly string[] };

/** @param root The folder of the files; `/proc/PID/root/etc` for those that a process in a container sees. */
export function readNameFiles(host: string, root = '/etc'): NameFiles {
  const files = openProc(root);
  const hosts = attempt(() => files.text('hosts', limit));
  const resolv = attempt(() => files.text('resolv.conf', limit)) ?? '';
  return { hosts: hosts === null ? null : parseHosts(hosts, host), ...parseResolv(resolv) };
}

/** The lines that name the host, in their order: an address, then its names. Upper and lower case are alike. */
export function parseHosts(text: string, host: string): NonNullable<NameEvidence['hosts']> {
  const wanted = host.toLowerCase().replace(/\.$/, '');
  return text.split('\n').flatMap((line, index) => {
    const [address = '', ...names] = line.replace(/#.*$/, '').trim().split(/\s+/);
    const fits = names.some((name) => name.toLowerCase() === wanted);
    return fits && (isIpv4(address) || isIpv6(address)) ? [{ line: index + 1, address }] : [];
  });
}

/** `nameserver` lines, and the last of `search` and `domain`. Without a server the one on this machine is asked. */
export function parseResolv(text: string): Pick<NameFiles, 'nameServers' | 'searchDomains'> {
  const nameServers: string[] = [];
  let searchDomains: string[] = [];
  for (const line of text.split('\n')) {
    const [word, ...rest] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    const [server = ''] = rest;
    if (word === 'nameserver' && (isIpv4(server) || isIpv6(server)) && nameServers.length < mostServers)
      nameServers.push(server);
    if (word === 'search' || word === 'domain') searchDomains = rest;
  }
  return { nameServers: nameServers.length === 0 ? ['127.0.0.1'] : nameServers, searchDomains };
}
