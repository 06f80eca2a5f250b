/** `rebind wait <endpoint>`. */
import { formatEndpoint, type Request } from '../../model/endpoint.ts';
import { programName } from '../../model/program.ts';
import { escapeText } from '../../model/text.ts';
import type { Finding } from '../../model/verdict.ts';
import type { WaitOptions, WaitReport } from '../../wait/options.ts';
import { wait } from '../../wait/wait.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { canvas, type Io } from '../io.ts';
import { print, waitDocument } from '../json.ts';
import { openStatus, type Status } from '../progress-line.ts';
import { requestsOf } from '../request.ts';
import { parseMilliseconds } from '../time.ts';
import { UsageError } from '../usage.ts';
import { endpointObject, endpointSubject, marked } from '../words.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const requests = await requestsOf(invocation);
  const any = invocation.flag('any') === true;
  using status = openStatus(io);
  // With --any the first one that is done stops the others.
  const first = new AbortController();
  const options = { ...optionsOf(invocation, io, status), signal: AbortSignal.any([io.signal, first.signal]) };
  const reports = await Promise.all(
    requests.map(async (request) => {
      const report = await waitOrLook(request, options);
      if (any && report.done) first.abort();
      return report;
    }),
  );
  status.clear();
  const interrupted = io.signal.aborted;
  const isEnough = any && reports.some(({ done }) => done);
  const shown = isEnough ? reports.filter(({ done }) => done) : reports;
  io.stdout.write(
    invocation.flag('json')
      ? print(waitDocument(reports, interrupted))
      : shown.map((report) => picture(report, interrupted, io)).join(''),
  );
  if (isEnough) return exit.ok;
  return Math.max(exit.ok, ...reports.map(exitOf));
}

function exitOf({ done, failure }: WaitReport): number {
  if (failure === 'unknown') return exit.unknown;
  return done ? exit.ok : exit.blocked;
}

/** After an interruption the answer is how it is now. */
async function waitOrLook({ endpoint, options }: Request, waitOptions: WaitOptions): Promise<WaitReport> {
  const startedAt = performance.now();
  try {
    return await wait(endpoint, { ...options, ...waitOptions });
  } catch (error) {
    if (waitOptions.signal?.aborted !== true || error !== waitOptions.signal.reason) throw error;
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
      const lasts = mode === 'free' && staysSo(errno, verdict);
      if (lasts && !warned) {
        warned = true;
        const sentence = escapeText(verdict?.sentence ?? `the kernel answers ${errno}`);
        io.stderr.write(
          `${canvas(io, 'stderr').paint('unsure', 'rebind:')} This does not change by itself: ${sentence}\n`,
        );
      }
      const text =
        mode === 'open'
          ? 'waiting until a program listens'
          : `waiting: ${escapeText(verdict?.sentence ?? 'not available yet')}`;
      status.show({ text, leftMs: expiresInMs, wholeMs: expiresInMs });
    },
  };
}

/** No process, socket or address that comes or goes changes this, so the user must know what to do. */
function staysSo(errno: string | null, verdict: Finding | null): boolean {
  if (errno === 'EADDRINUSE') return verdict?.cause === 'unix-socket-stale';
  if (verdict?.cause !== 'address-not-here') return true;
  // The address of a VPN, of a cluster or of a card that is not up yet comes later, and duplicate address detection ends.
  const { reason, detection } = verdict.args;
  return detection === 'failed' || (reason !== 'not-here' && reason !== 'no-device');
}

function picture(report: WaitReport, interrupted: boolean, io: Io): string {
  const [mark, rest] = said(report, interrupted);
  return `${marked(report.done ? 'good' : 'bad', mark, escapeText(rest), canvas(io)).join('\n')}\n`;
}

/** Where they listen: a question about a bare port was not about an address. */
function placesOf({ endpoint }: WaitReport, addresses: WaitReport['addresses']): string {
  if (endpoint.protocol === 'unix') return formatEndpoint(endpoint);
  const { protocol } = endpoint;
  const places = addresses.map(({ address, port }) =>
    formatEndpoint({ protocol, address: address.replace(/^::ffff:(?=\d+\.)/, ''), port }),
  );
  return [...new Set(places)].join(', ');
}

/** The beginning of the sentence, which is coloured, and the rest. */
function said(report: WaitReport, interrupted: boolean): [string, string] {
  const subject = endpointSubject(report.endpoint);
  const object = endpointObject(report.endpoint);
  const seconds = (report.elapsedMs / 1000).toFixed(2);
  const listeners = report.listeners.map((one) => `${programName(one)} (pid ${one.pid})`).join(', ');
  const listen = report.listeners.length > 1 ? 'listen' : 'listens';
  if (report.done && report.for === 'free') return [`${subject} is available`, ` (${seconds} s)`];
  const at = placesOf(report, report.addresses);
  if (report.done)
    return [
      `${subject} is open`,
      `: ${listeners || 'a process that is not visible'} ${listen} on ${at} (${seconds} s)`,
    ];
  if (report.failure === 'process-ended')
    return [
      'The process exited',
      ` and did not listen on ${object}${listeners === '' ? '' : `; ${listeners} ${listen} there`}`,
    ];
  const end = interrupted ? 'Interrupted' : 'Timed out';
  if (report.failure === 'other-process')
    return [end, `: ${listeners || 'a process that is not visible'} ${listen} on ${at}, not the given process`];
  if (report.verdict !== null) return [end, ` after ${seconds} s: ${report.verdict.sentence}`];
  const state = report.for === 'free' ? 'not available' : 'not open';
  const elsewhere =
    report.elsewhere.length === 0
      ? ''
      : `; ${listeners || 'a process that is not visible'} ${listen} on ${placesOf(report, report.elsewhere)}`;
  return [end, ` after ${seconds} s: ${object} is ${state}${elsewhere}`];
}
