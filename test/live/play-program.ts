/**
 * Plays random histories in the network namespace it runs in, which must be its own: `play-program.js SEED HISTORIES`.
 * Prints one JSON document.
 */
import { release } from 'node:os';
import { linux } from '../../src/os/linux/index.ts';
import { type Ground, History, type Tally } from './history.ts';
import { addLink, loopbackUp } from './link.ts';
import { random } from './random.ts';

const [seedText = '1', historiesText = '100'] = process.argv.slice(2);
const seed = Number(seedText);
const histories = Number(historiesText);
const steps = 30;
/** Below the automatic ports, so that nothing else in the namespace gets one. */
const firstPort = 10_000;

loopbackUp();
const devices = addLink('v0') ? ['lo', 'v0'] : ['lo'];
const settings = linux.readSettings();
const [major = 0, minor = 0] = release().split('.').map(Number);
const since6_8 = major > 6 || (major === 6 && minor >= 8);
const ground: Ground = {
  uids: otherUser() ? [0, 1000] : [process.geteuid?.() ?? 0],
  devices,
  ipv6: settings.ipv6,
  settings,
  cacheKnown: since6_8,
  showsBound: since6_8,
  reads: true,
};
const tally: Tally = { binds: 0, listens: 0, refused: 0, cached: 0, readings: 0, differences: [] };
for (let index = 0; index < histories; index++) {
  // Each history can be played again alone: its seed does not depend on those before it.
  const protocol = index % 4 === 3 ? 'udp' : 'tcp';
  await new History(random(seed + index), firstPort + index, protocol, ground, tally).play(steps);
  if (tally.differences.length >= 3) break;
}
process.stdout.write(JSON.stringify({ kernel: release(), uids: ground.uids, devices, ...tally }));

/** Whether sockets can be made as another user here: in a user namespace with one user they cannot. */
function otherUser(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    process.seteuid?.(1000);
    process.seteuid?.(0);
    return true;
  } catch {
    return false;
  }
}
