/** `rebind wait <endpoint>`. */
import { formatEndpoint, type Request } from '../../model/endpoint.ts';
import { escapeText } from '../../model/text.ts';
import type { WaitOptions, WaitReport } from '../../wait/options.ts';
import { wait } from '../../wait/wait.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { canvas, type Io } from '../io.ts';
import { print, waitDocument } from '../json.ts';
import { openStatus, type Status } from '../progress-line.ts';
import { requestsOf } from '../request.ts';
import { shellWords, wrap } from '../text.ts';
import { parseMilliseconds } from '../time.ts';
import { UsageError } from '../usage.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [request] = await requestsOf(invocation);
  if (request === undefined) throw new TypeError('The parser lets no run through without an endpoint');
  using status = openStatus(io);
  const report = await waitOrLook(request, optionsOf(invocation, io, status), io);
  status.clear();
  const interrupted = io.signal.aborted;
  io.stdout.write(
    invocation.flag('json') ? print(waitDocument(report, interrupted)) : picture(report, interrupted, io),
  );
  if (report.failure === 'unknown') return exit.unknown;
  return report.done ? exit.ok : exit.blocked;
}

/** After Ctrl-C the answer is how it is now. */
async function waitOrLook({ endpoint, options }: Request, waitOptions: WaitOptions, io: Io): Promise<WaitReport> {
  const startedAt = performance.now();
  try {
    return await wait(endpoint, { ...options, ...waitOptions });
  } catch (error) {
    if (!io.signal.aborted || error !== io.signal.reason) throw error;
    const { signal: _signal, onProgress: _onProgress, ...rest } = waitOptions;
    const now = await wait(endpoint, { ...options, ...rest, timeoutMs: 0 });
    return { ...now, elapsedMs: Math.round(performance.now() - startedAt) };
  }
}

function optionsOf(invocation: Invocation, io: Io, status: Status): WaitOptions {
  const timeout = invocation.value('timeout');
  const pid = invocation.value('pid');
  const mode = invocation.value('for') ?? 'free';
  if (mode !== 'free' && mode !== 'open') throw new UsageError('--for takes free or open');
  if (pid !== undefined && mode !== 'open') throw new UsageError('--pid goes with --for open');
  if (pid !== undefined && !/^[1-9]\d{0,9}$/.test(pid)) throw new UsageError('--pid takes the number of a process');
  let warned = false;
  return {
    for: mode,
    signal: io.signal,
    ...(timeout !== undefined && { timeoutMs: parseMilliseconds(timeout, 'timeout') }),
    ...(pid !== undefined && { pid: Number(pid) }),
    onProgress: ({ errno, verdict, expiresInMs }) => {
      // No process or socket that goes changes this, so whoever waits must know what to do.
      const lasts = mode === 'free' && (errno !== 'EADDRINUSE' || verdict?.cause === 'unix-socket-stale');
      if (lasts && !warned) {
        warned = true;
        const sentence = escapeText(verdict?.sentence ?? `the kernel answers ${errno}`);
        io.stderr.write(
          `${canvas(io, 'stderr').paint('unsure', 'rebind:')} This does not end by itself: ${sentence}\n`,
        );
      }
      const text =
        mode === 'open'
          ? 'waiting until somebody listens'
          : `waiting: ${escapeText(verdict?.sentence ?? 'not free yet')}`;
      status.show({ text, leftMs: expiresInMs, wholeMs: expiresInMs });
    },
  };
}

function picture(report: WaitReport, interrupted: boolean, io: Io): string {
  const { paint, width } = canvas(io);
  const [word, sentence] = said(report);
  const mark = interrupted && word === 'Timed out:' ? 'Interrupted:' : word;
  const [first = '', ...more] = wrap(escapeText(`${mark} ${sentence}`), width);
  const head = paint(report.done ? 'good' : 'bad', first.slice(0, mark.length)) + first.slice(mark.length);
  return `${[head, ...more].join('\n')}\n`;
}

/** Where they listen: who asked about a bare port did not ask about an address. */
function placesOf({ endpoint, addresses }: WaitReport): string {
  if (endpoint.protocol === 'unix') return formatEndpoint(endpoint);
  const { protocol } = endpoint;
  const places = addresses.map(({ address, port }) =>
    formatEndpoint({ protocol, address: address.replace(/^::ffff:(?=\d+\.)/, ''), port }),
  );
  return [...new Set(places)].join(', ');
}

function said(report: WaitReport): [string, string] {
  const endpoint = formatEndpoint(report.endpoint);
  const after = `after ${(report.elapsedMs / 1000).toFixed(2)} s`;
  const who = report.listeners
    .map(({ pid, command, argv }) => `process ${pid} (${shellWords(argv) || command})`)
    .join(', ');
  if (report.done && report.for === 'free') return ['Free:', `${endpoint} can be bound now, ${after}`];
  const at = placesOf(report);
  if (report.done) return ['Open:', `${who || 'somebody'} listens on ${at}, ${after}`];
  if (report.failure === 'unknown') {
    const gap = report.gaps.at(-1);
    return [
      'Cannot tell:',
      `whether ${endpoint} can be bound${gap === undefined ? '' : `. ${gap.what} (${gap.why}); ${gap.hint}`}`,
    ];
  }
  if (report.failure === 'process-ended')
    return ['Ended:', `the process is gone and did not listen on ${endpoint}${who === '' ? '' : `; ${who} does`}`];
  if (report.failure === 'other-process')
    return [
      'Timed out:',
      `${who || 'a process that cannot be seen'} listens on ${at}, not the process that was asked for`,
    ];
  const why = report.verdict === null ? '' : `: ${report.verdict.sentence}`;
  return ['Timed out:', `${endpoint} is not ${report.for} ${after}${why}`];
}
