/** `rebind why <endpoint>`. */
import type { Report } from '../../model/verdict.ts';
import { os } from '../../os/index.ts';
import { explainAsking } from '../../why.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { canvas, type Io } from '../io.ts';
import { print, whyDocument } from '../json.ts';
import { requestsOf } from '../request.ts';
import { picture } from '../why-text.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [request] = await requestsOf(invocation);
  if (request === undefined) throw new TypeError('The parser lets no run through without an endpoint');
  const report = await explainAsking(request, os(), io.signal);
  io.stdout.write(invocation.flag('json') ? print(whyDocument(report)) : picture(report, canvas(io), io.now()));
  return exitOf(report);
}

function exitOf({ bindable }: Report): number {
  if (bindable === null) return exit.unknown;
  return bindable ? exit.ok : exit.blocked;
}
