/** `rebind why <endpoint>...`. */
import type { Request } from '../../model/endpoint.ts';
import type { Report } from '../../model/verdict.ts';
import { os } from '../../os/index.ts';
import { explainAsking } from '../../why.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { hintFor } from '../hint.ts';
import { canvas, type Io } from '../io.ts';
import { print, whyDocument } from '../json.ts';
import { requestsOf } from '../request.ts';
import { availableText, picture } from '../why-text.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const requests = await requestsOf(invocation);
  const reports: Report[] = [];
  for (const request of requests) reports.push(await explainAsking(request, os(), io));
  io.stdout.write(invocation.flag('json') ? print(whyDocument(reports)) : textOf(requests, reports, io));
  return Math.max(exit.ok, ...reports.map(exitOf));
}

/** What is in the way comes first; what is available is one line, however many ports were asked about. */
function textOf(requests: readonly Request[], reports: readonly Report[], io: Io): string {
  const isPlain = ({ bindable, verdict, gaps }: Report): boolean =>
    bindable === true && verdict === null && gaps.length === 0;
  const [only] = reports;
  const [request] = requests;
  if (reports.length === 1 && only !== undefined && request !== undefined)
    return picture(only, canvas(io), io.now()) + (isPlain(only) ? hintFor(request, os(), canvas(io)) : '');
  const plain = reports.filter(isPlain);
  return [
    ...reports.filter((report) => !isPlain(report)).map((report) => picture(report, canvas(io), io.now())),
    ...(plain.length > 0 ? [availableText(plain, canvas(io))] : []),
  ].join('\n');
}

function exitOf({ bindable }: Report): number {
  if (bindable === null) return exit.unknown;
  return bindable ? exit.ok : exit.blocked;
}
