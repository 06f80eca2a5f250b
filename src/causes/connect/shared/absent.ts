/** The address is ours and no listener takes the connection: what causes share that name the sockets that are there. */

import type { PortSocket } from '../../../model/reach/evidence.ts';
import { holdersOf as sureHolders } from '../../../model/reach/holders.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';
import type { Remedy } from '../../../model/verdict.ts';
import { type Who, who } from '../../shared/words.ts';
import { type RefusedHere, refusedHere } from './here.ts';
import { listenPlaces } from './take.ts';
import { placeOf } from './untaken.ts';

/** Listeners on the port that take other connections than ours. */
export interface Absent {
  readonly here: RefusedHere;
  readonly endpoint: string;
  readonly address: string;
  readonly port: number;
  readonly listeners: readonly PortSocket[];
  readonly at: string[];
  readonly uid: number;
  readonly holders: Who[];
}

/** Null where the kernel refuses for another reason, or nobody listens on the port at all. */
export function absentFrom(question: AddressQuestion): Absent | null {
  const here = refusedHere(question);
  if (here === null) return null;
  const listeners = here.sockets.filter(({ state }) => state === 'LISTEN');
  const [first] = listeners;
  if (first === undefined) return null;
  const { address, port } = here.endpoint;
  return {
    here,
    endpoint: placeOf(here.evidence),
    address,
    port,
    listeners,
    at: listenPlaces(listeners),
    uid: first.uid,
    holders: holdersOf(here, listeners),
  };
}

/** The processes of these sockets. */
export function holdersOf({ evidence }: RefusedHere, sockets: readonly PortSocket[]): Who[] {
  const found = sockets.flatMap(({ inode }) => sureHolders(evidence, inode)).map(({ holder }) => holder);
  return [...new Map(found.map((holder) => [holder.pid, holder])).values()].map(who);
}

/** Let the server listen where everybody gets through. */
export function listenEverywhere(address: string, sentence: string): Remedy {
  return { remedy: 'listen-address', sentence, command: null, automatic: false, args: { address } };
}

/** Ask where it listens. */
export function askThere(at: readonly string[]): Remedy {
  return {
    remedy: 'use-address',
    sentence: `Let the client connect to ${at.slice(0, 3).join(' or ')}`,
    command: null,
    automatic: false,
    args: { addresses: at },
  };
}
