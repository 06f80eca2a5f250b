/**
 * Who asks a server whether it is ready, and when: what `lameDuckMs: 'auto'` learns from.
 */
import { lameDuckMs } from '../model/lame-duck.ts';

/** By prober, so that two of them do not look like one that asks twice as often. */
const probes = new WeakMap<object, Map<string, number[]>>();

/** A prober's last questions that count; and how many probers, because anybody may ask. */
const mostTimes = 8;
const mostProbers = 32;
/** Of one address, so that whoever calls itself something else each time drives nobody else out. */
const mostOfAddress = 4;

/** Notes a question. @param prober Tells one prober from another: its address, a space, and what it calls itself */
export function noteProbe(server: object, prober: string): void {
  let known = probes.get(server);
  if (known === undefined) {
    known = new Map();
    probes.set(server, known);
  }
  const times = known.get(prober) ?? [];
  known.delete(prober);
  times.push(performance.now());
  if (times.length > mostTimes) times.shift();
  known.set(prober, times);
  // The one that was silent longest goes.
  const address = `${prober.split(' ', 1)[0]} `;
  const alike = [...known.keys()].filter((one) => one.startsWith(address));
  const [oldest] = alike.length > mostOfAddress ? alike : known.keys();
  if (oldest !== undefined && (alike.length > mostOfAddress || known.size > mostProbers)) known.delete(oldest);
}

/** How long the server has to be a lame duck for those who ask it. */
export function learnedLameDuckMs(server: object): number {
  const asked = probes.get(server)?.values() ?? [];
  return lameDuckMs(asked, performance.now(), process.env['KUBERNETES_SERVICE_HOST'] !== undefined);
}
