/**
 * Remedies that leave the holder of a port alone: it makes room, both share the port, or the request takes an address that is free.
 */
import { systemService } from '../../model/services.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { blockersOf, holdersOf } from './kinds.ts';
import { typed, worksWith } from './remedies.ts';
import { list, multicastPorts, processes, who } from './words.ts';

/** Addresses of network cards that are offered. */
const mostAddresses = 3;

/** The gentlest first. */
export function makeRoom(question: Question): Remedy[] {
  return [...shareMulticast(question), ...serviceYields(question), ...useCard(question)];
}

/** Multicast reaches every socket of the port, so programs share it by an option (socket(7), udp(7)). */
function shareMulticast(question: Question): Remedy[] {
  const { endpoint, options } = question.request;
  if (endpoint.protocol !== 'udp') return [];
  const name = multicastPorts[endpoint.port];
  if (name === undefined || options.reuseAddress) return [];
  if (!worksWith(question, { options: { ...options, reuseAddress: true } })) return [];
  const holders = holdersOf(blockersOf(question, 'bound', 'listener'), question);
  const others = holders.length === 0 ? 'the other program' : processes(holders.map(who), 0);
  return [
    {
      remedy: 'set-option',
      sentence: `Share the port: set SO_REUSEADDR before bind, as ${others} does (Node: createSocket({ type: '${endpoint.address.includes(':') ? 'udp6' : 'udp4'}', reuseAddr: true })); ${name} is multicast, and every program on the port receives it`,
      command: `rebind why ${typed({ endpoint, options: { ...options, reuseAddress: true } })}`,
      automatic: false,
      args: { option: 'SO_REUSEADDR' },
    },
  ];
}

function serviceYields(question: Question): Remedy[] {
  const { endpoint } = question.request;
  if (endpoint.protocol === 'unix') return [];
  const holders = holdersOf(blockersOf(question, 'bound', 'listener'), question);
  const services = new Set(holders.flatMap((holder) => systemService(holder)?.yields ?? []));
  return [...services]
    .filter(({ port }) => port === endpoint.port)
    .map(({ sentence, file }) => ({
      remedy: 'set-option',
      sentence,
      command: question.facts.asker.uid === 0 ? `vi ${file}` : `sudoedit ${file}`,
      automatic: false,
      args: { option: 'DNSStubListener', file },
    }));
}

/** Where every address was asked for, and a service of the system has some of them: the others. A development server is simply stopped. */
function useCard(question: Question): Remedy[] {
  const { endpoint } = question.request;
  if (endpoint.protocol === 'unix' || !/^(::|0\.0\.0\.0)$/.test(endpoint.address)) return [];
  const holders = holdersOf(blockersOf(question, 'bound', 'listener'), question);
  if (!holders.some((holder) => systemService(holder) !== null)) return [];
  const { localAddresses } = question.facts.settings;
  const cards = [...new Set(localAddresses.map(({ address }) => address))].filter(
    (address) =>
      !/^(127\.|::1$|fe[89ab][0-9a-f]:)/.test(address) && address.includes(':') === (endpoint.address === '::'),
  );
  const free = cards.filter((address) => worksWith(question, { endpoint: { ...endpoint, address } }));
  if (free.length === 0) return [];
  const named = free.slice(0, mostAddresses);
  return [
    {
      remedy: 'use-address',
      sentence: `Listen on ${list(named).replace(/ and /, ' or ')} only, which ${named.length === 1 ? 'is' : 'are'} available`,
      command: null,
      automatic: false,
      args: { addresses: named },
    },
  ];
}
