/**
 * What is said about managers, so that `why`, `ls` and `free` say the same.
 */
import { type Manager, managers } from './managers.ts';

/** `docker container shop-db`, `shop.service`; the whole id of a container is shortened. */
export function managedName({ kind, name }: Manager): string | null {
  if (name === null) return null;
  return managers[kind].runs === 'the container' && /^[0-9a-f]{64}$/.test(name) ? name.slice(0, 12) : name;
}

/** Who manages a process, as a sentence about "it", without a full stop: "pm2 runs it as shop". */
export function managedBy(manager: Manager): string {
  const said = asIfConfirmed(manager);
  if (manager.confirmed) return said;
  const why = manager.unconfirmed === null ? '' : ` (${manager.unconfirmed})`;
  return `it looks as if ${said}${why}`;
}

function asIfConfirmed(manager: Manager): string {
  const { kind, pid, paused, part } = manager;
  const { role, called, runs, again } = managers[kind];
  const name = managedName(manager);
  const process = pid === null ? '' : ` (pid ${pid})`;
  if (role === 'keeper')
    return `rebind hold${process} keeps the port open for ${name === null ? 'its command' : `\`${name}\``}`;
  if (kind === 'ssh')
    return `it forwards the port for an ssh session of ${name ?? 'somebody'} (ssh -R), and ends with that session`;
  if (kind === 'lima')
    return `it forwards ports of the virtual machine ${name ?? 'of Lima'}, and may go on after that was stopped`;
  if (kind === 'debugger') return `${name ?? 'a debugger'}${process} is attached to it`;
  if (kind === 'systemd' && name === null)
    return pid === null || pid === 1
      ? 'systemd holds the port for a service'
      : `the systemd of a container${process} runs it`;
  if (runs === 'the container') {
    const container = `the ${kind === 'container' ? '' : `${called} `}container${name === null ? '' : ` ${name}`}${paused ? ', which is paused' : ''}`;
    return part === null ? `it runs in ${container}` : `${container} publishes the port`;
  }
  if (role === 'service')
    return `${called}${kind === 'systemd' ? '' : process} runs it${name === null ? '' : ` as ${name}`}`;
  if (role === 'watcher') return `${label(manager)} ${again === null ? 'runs it' : `starts it again ${again}`}`;
  return `${label(manager)} started it`;
}

/** `nodemon (pid 40)`, `npm run dev (pid 12)`. */
export function label(manager: Manager): string {
  const { kind, pid } = manager;
  const { role, called } = managers[kind];
  const name = managedName(manager);
  const process = pid === null ? '' : ` (pid ${pid})`;
  if (kind === 'reloader' || kind === 'runner' || role === 'place') return `${name ?? called}${process}`;
  if (role === 'script')
    return `${called}${name === null ? '' : ` ${/^(start|test)$/.test(name) ? name : `run ${name}`}`}${process}`;
  return `${called}${process}`;
}

/** What is stopped, of a manager that is told to: "the application shop, which pm2 runs". */
export function managedThing(manager: Manager): string {
  const { runs, called, role } = managers[manager.kind];
  const name = managedName(manager);
  if (role === 'keeper')
    return `rebind hold${manager.pid === null ? '' : ` (pid ${manager.pid})`} and ${name === null ? 'its command' : `the command that it runs, \`${name}\``}`;
  const engine = runs === 'the container' && manager.kind !== 'container' ? `the ${called} container` : runs;
  const paused = manager.paused ? ', which is paused' : '';
  if (runs === 'the container') return `${engine}${name === null ? '' : ` ${name}`}${paused}`;
  return `${runs}${name === null ? '' : ` ${name}`}, which ${called} runs`;
}
