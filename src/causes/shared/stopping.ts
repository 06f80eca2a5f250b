/**
 * How the holders of a port are stopped, as advice: what `rebind free` would do (model/stops.ts), in words and commands to paste.
 */
import type { Holder, Socket } from '../../model/facts.ts';
import { label, managedName, managedThing } from '../../model/manager-words.ts';
import { type Manager, managers } from '../../model/managers.ts';
import { programName } from '../../model/program.ts';
import { doubtAboutManager, isMainProcess, type Stop, stopsOf } from '../../model/stops.ts';
import { isLaunchd } from '../../model/suspect.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { closeFirst, listenOnce } from './conduct.ts';
import { blockersOf, holdersOf } from './kinds.ts';
import { listenersOf } from './listeners.ts';
import { rebindFree, typed } from './remedies.ts';
import { list, processes, who } from './words.ts';

/**
 * Asks every process to end that has the port as a server, or the unit that would start it again. All of them at once,
 * whichever cause asks: ending one of two frees nothing.
 */
export function stopServers(question: Question): Remedy[] {
  const stories = ['inherited', 'dual-stack', 'wildcard', 'plain', 'other-user-share'] as const;
  const listeners = stories.flatMap((story) => listenersOf(question, story));
  return stopHolders([...listeners, ...blockersOf(question, 'bound', 'accepted', 'served')], question);
}

/** How every process is stopped that has one of these sockets open: as `free` would do it, in the same order. */
export function stopHolders(sockets: readonly Socket[], question: Question): Remedy[] {
  const hidden = sockets.some((socket) => socket.inode !== 0 && holdersOf([socket], question).length === 0);
  const stops = stopsOf(holdersOf(sockets, question), question.managers, question.facts.asker);
  const processes = stops.filter((stop) => stop.kind === 'process');
  return [
    ...stops.flatMap((stop) => remedyFor(stop, question)),
    ...stopProcesses(processes, question),
    ...(hidden ? [stopHidden(question)] : []),
  ];
}

/** Those that are not simply asked to end together. */
function remedyFor(stop: Stop, question: Question): Remedy[] {
  switch (stop.kind) {
    case 'order':
      return [stopThroughManager(stop.manager)];
    case 'watcher':
      return [stopWatcher(stop, question)];
    case 'never':
      return [leaveAlone(stop.holder, stop.manager, stop.why, question)];
    default:
      return [];
  }
}

/** `rebind free` does this only with --yes: others may rely on it. */
function stopThroughManager(manager: Manager): Remedy {
  const { kind } = manager;
  const isContainer = managers[kind].runs === 'the container';
  const again = managers[kind].again;
  return {
    remedy: isContainer ? 'stop-container' : 'stop-unit',
    sentence: `Stop ${managedThing(manager)}${isContainer || again === null ? '' : ` and starts again ${again}`}`,
    command: manager.order?.shown ?? null,
    automatic: false,
    args: { manager: kind, name: managedName(manager) },
  };
}

function stopWatcher({ manager, watcher, holders }: Extract<Stop, { kind: 'watcher' }>, question: Question): Remedy {
  const program = list(holders.map((holder) => `${programName(holder)} (pid ${holder.pid})`));
  const again = managers[manager.kind].again;
  const what = `${label(manager)}, which ${again === null ? `runs ${program}` : `runs ${program} and starts it again ${again}`}`;
  return askToEnd([watcher, ...holders], `Stop ${what}`, question, doubtAboutManager(manager) ?? undefined);
}

function stopProcesses(stops: readonly Extract<Stop, { kind: 'process' }>[], question: Question): Remedy[] {
  if (stops.length === 0) return [];
  const holders = stops.map(({ holder }) => holder);
  const looks = stops.flatMap(({ manager }) => (manager === null ? [] : (doubtAboutManager(manager) ?? [])));
  const sentence = `Stop ${processes(holders.map(who), 0)}`;
  return [askToEnd(holders, sentence, question, looks[0])];
}

/** Asking processes to end is what `rebind free` does. */
function askToEnd(holders: readonly Holder[], sentence: string, question: Question, looks?: string): Remedy {
  const { uid } = question.facts.asker;
  const allowed = uid === 0 || holders.every((holder) => holder.uid === uid);
  const other = holders.map(({ pid }) => question.doubts.get(pid)).find((reason) => reason !== undefined);
  const doubt = looks !== undefined && other !== undefined ? `${looks}, and ${other}` : (looks ?? other);
  const thing = question.request.endpoint.protocol === 'unix' ? 'path' : 'port';
  const asks = doubt === undefined ? '' : `; rebind asks first, because ${doubt}`;
  return {
    remedy: 'stop-process',
    sentence: `${sentence}${sentence.includes(', which ') ? ',' : ''} and verify that the ${thing} is available${asks}`,
    command: rebindFree(question, allowed),
    automatic: allowed && doubt === undefined,
    args: { pids: holders.map(({ pid }) => pid) },
  };
}

/** What helps where the process itself is never ended. */
function leaveAlone(holder: Holder, manager: Manager | null, why: string, question: Question): Remedy {
  const { endpoint } = question.request;
  const args = { pids: [holder.pid] };
  const base = { command: null, automatic: false, args } as const;
  if (manager?.kind === 'hold')
    return {
      ...base,
      remedy: 'stop-unit',
      sentence: `Stop ${managedThing(manager)}; --restart instead of --stop restarts only the command`,
      command: `rebind hold ${typed(question.request)} --stop`,
      args: { manager: 'hold', name: manager.name, pids: [manager.pid ?? holder.pid] },
    };
  if (holder.pid === question.facts.asker.pid) {
    const own = question.blockers.filter(({ socket }) => holdersOf([socket], question).includes(holder));
    return { ...(own.some(({ socket }) => socket.state === 'LISTEN') ? listenOnce : closeFirst), args };
  }
  if (isMainProcess(holder))
    return {
      ...base,
      remedy: 'stop-container',
      sentence: `Start the container with the other command: ${who(holder).command} is its main process, and the container stops with it`,
    };
  if (manager !== null && managers[manager.kind].runs === 'the container')
    return {
      ...base,
      remedy: 'stop-container',
      sentence: `Stop the container that publishes the port; ${who(holder).command} (pid ${holder.pid}) is left alone, because ${why}`,
      command:
        endpoint.protocol === 'unix' || !['docker', 'orbstack'].includes(manager.kind)
          ? null
          : `docker ps --filter publish=${endpoint.port}`,
    };
  if (isLaunchd(holder))
    return {
      ...base,
      remedy: 'stop-unit',
      sentence: 'Find the job of launchd that has the port among its Sockets, and stop it with launchctl bootout',
      command: question.advice.serviceSockets(true),
    };
  if (manager?.kind === 'systemd') {
    const user = holder.pid !== 1;
    return {
      ...base,
      remedy: 'stop-unit',
      sentence: 'Find the socket unit that uses the port, and stop it with systemctl stop',
      command: question.advice.serviceSockets(user),
    };
  }
  if (manager?.kind === 'pm2')
    return {
      ...base,
      remedy: 'stop-unit',
      sentence: `Stop the application that uses the port with pm2 stop NAME${manager.unconfirmed === null ? '' : `: ${manager.unconfirmed}`}`,
      command: holder.uid === question.facts.asker.uid ? 'pm2 list' : null,
    };
  return {
    ...base,
    remedy: 'use-port',
    sentence: `Use another port: ${who(holder).command} (pid ${holder.pid}) is left alone, because ${why}`,
  };
}

function stopHidden(question: Question): Remedy {
  return {
    remedy: 'stop-process',
    sentence: 'Stop its process as root: only root and its own user can see it',
    command: rebindFree(question, false),
    automatic: false,
    args: { pids: [] },
  };
}
