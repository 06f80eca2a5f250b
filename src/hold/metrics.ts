/**
 * The numbers of a hold in the text format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats).
 */
import type { EventEmitter } from 'node:events';
import { formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import type { HeldSocket } from './held-socket.ts';
import type { HeldSockets } from './held-sockets.ts';
import type { HoldEvents } from './settings.ts';

/** How often the queues are looked at. */
const lookMs = 1000;

type Queue = { readonly waiting: number; readonly limit: number };

export class HoldMetrics {
  readonly #sockets: HeldSockets;
  readonly #counts = { generation: 0, refused: 0, crashes: 0, draining: 0 };
  readonly #ended = { finished: 0, idle: 0, killed: 0, handed_off: 0 };
  readonly #last = new Map<HeldSocket, Queue>();
  #stalledSeconds = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(hold: EventEmitter<HoldEvents>, sockets: HeldSockets) {
    this.#sockets = sockets;
    hold.on('ready', ({ generation }) => {
      this.#counts.generation = generation;
    });
    hold.on('refused', () => {
      this.#counts.refused++;
    });
    hold.on('crash', () => {
      this.#counts.crashes++;
    });
    hold.on('draining', () => {
      this.#counts.draining++;
    });
    hold.on('retired', ({ counts }) => {
      this.#counts.draining--;
      this.#ended.finished += counts?.finished ?? 0;
      this.#ended.idle += counts?.idle ?? 0;
      this.#ended.killed += counts?.killed ?? 0;
      this.#ended.handed_off += counts?.handedOff ?? 0;
    });
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  text(): string {
    const { generation, refused, crashes, draining } = this.#counts;
    const lines = [
      ...metric('rebind_hold_generation', 'gauge', 'The generation that became ready last', [['', generation]]),
      ...metric('rebind_hold_refused_restarts_total', 'counter', 'Restarts whose new process did not become ready', [
        ['', refused],
      ]),
      ...metric('rebind_hold_crashes_total', 'counter', 'Times that the command exited by itself', [['', crashes]]),
      ...metric('rebind_hold_draining', 'gauge', 'Old generations that finish their connections', [['', draining]]),
      ...metric(
        'rebind_hold_connections_ended_total',
        'counter',
        'Connections of old generations, by how they ended',
        Object.entries(this.#ended).map(([how, count]) => [`{how="${how}"}`, count] as const),
      ),
      ...metric(
        'rebind_hold_stalled_seconds_total',
        'counter',
        'Seconds in which connections waited and the queue did not become shorter',
        [['', this.#stalledSeconds]],
      ),
    ];
    const queues = this.#queues();
    const of = (pick: (queue: Queue) => number) =>
      [...queues].map(
        ([socket, queue]) => [`{listen="${label(formatEndpoint(socket.endpoint))}"}`, pick(queue)] as const,
      );
    lines.push(
      ...metric(
        'rebind_hold_queued_connections',
        'gauge',
        'Connections that wait to be accepted',
        of(({ waiting }) => waiting),
      ),
    );
    lines.push(
      ...metric(
        'rebind_hold_queue_limit',
        'gauge',
        'How many may wait',
        of(({ limit }) => limit),
      ),
    );
    return lines.join('\n');
  }

  #look(): void {
    const queues = this.#queues();
    const isStalled = [...queues].some(([socket, { waiting }]) => {
      const before = this.#last.get(socket)?.waiting ?? 0;
      return waiting > 0 && before > 0 && waiting >= before;
    });
    if (isStalled) this.#stalledSeconds += lookMs / 1000;
    this.#last.clear();
    for (const [socket, queue] of queues) this.#last.set(socket, queue);
  }

  #queues(): Map<HeldSocket, Queue> {
    const found = new Map<HeldSocket, Queue>();
    for (const socket of this.#sockets.list) {
      if (socket.endpoint.protocol !== 'tcp') continue;
      try {
        found.set(socket, os().sockets.acceptQueue(socket.fd));
      } catch {
        // A gap is no number: the line is missing.
      }
    }
    return found;
  }
}

function metric(
  name: string,
  type: 'gauge' | 'counter',
  help: string,
  values: readonly (readonly [labels: string, value: number])[],
): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...values.map(([labels, value]) => `${name}${labels} ${value}`),
  ];
}

function label(text: string): string {
  return text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
}
