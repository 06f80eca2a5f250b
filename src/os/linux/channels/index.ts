/**
 * Channels on Linux: Unix sockets whose directory, peers and locks the kernel answers for.
 */
import type { Channels } from '../../channels.ts';
import { findPlace } from './directory.ts';
import { openInbox } from './inbox.ts';
import { tryLock } from './lock.ts';
import { descriptorLimit, isStopped, isWithin, network } from './peers.ts';
import { connect, find, list, listen, privatePath } from './stream.ts';

export const channels: Channels = {
  place: findPlace,
  listen,
  connect,
  find,
  list,
  openInbox,
  privatePath,
  isWithin,
  isStopped,
  network,
  tryLock,
  descriptorLimit,
};
