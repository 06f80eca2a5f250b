/** The demo of a cause of `reach`: a situation brought about for real, and what `rebind reach` says about it. */
import type { AddressCause, ConnectVariant, TargetCause } from '../causes/connect/form.ts';
import { causes } from '../causes/connect/index.ts';
import { escapeText } from '../model/text.ts';
import { openConnectStage } from '../stage/connect/open.ts';
import { insideNamespace, namespaceCommand, namespaceEnvironment, raiseLoopback } from '../stage/namespace.ts';
import { missing } from '../stage/needs.ts';
import { causePageText } from './cause-page.ts';
import { runChild, untilKey } from './demo-run.ts';
import { exit } from './exit.ts';
import { canvas, type Io } from './io.ts';
import { itself } from './itself.ts';
import { shellWords, wrap } from './text.ts';

type ConnectCause = AddressCause<string, object> | TargetCause<string, object>;

export const connectCauses: readonly ConnectCause[] = causes;

/** In a namespace of its own where the machine allows it, else here. */
export async function demoConnect(cause: ConnectCause, keep: boolean, io: Io): Promise<number> {
  if (insideNamespace()) {
    raiseLoopback();
    return show(cause, keep, io);
  }
  const apart = namespaceCommand();
  if (apart === null) return show(cause, keep, io);
  const words = [process.execPath, itself, 'demo', cause.id, ...(keep ? ['--keep'] : [])];
  return runChild([...apart, ...words], io, namespaceEnvironment());
}

async function show(cause: ConnectCause, keep: boolean, io: Io): Promise<number> {
  const variant = cause.stages.find(
    (stage) => missing(stage.needs) === null && (stage.expect.cause === undefined || stage.expect.cause === cause.id),
  );
  if (variant === undefined) {
    const reason = missing(cause.stages[0]?.needs ?? []) ?? 'it has no situation';
    io.stderr.write(`rebind: ${cause.id} cannot be staged here: ${escapeText(reason)}\n`);
    return exit.unsupported;
  }
  const { paint, width } = canvas(io);
  io.stdout.write(`${causePageText(cause, canvas(io), false)}\n${paint('strong', 'Now for real')}\n`);
  await explain(variant, keep, io);
  const end = 'The demo has stopped what it started, so the commands above have nothing left to do.';
  io.stdout.write(`\n${wrap(end, width).join('\n')}\n`);
  return exit.ok;
}

async function explain(variant: ConnectVariant, keep: boolean, io: Io): Promise<void> {
  const { paint, width } = canvas(io);
  await using stage = openConnectStage();
  const staged = await variant.stage(stage);
  const description = escapeText(staged.description);
  const situation = wrap(`${description.slice(0, 1).toUpperCase()}${description.slice(1)}.`, width - 2);
  io.stdout.write(situation.map((line) => `  ${line}\n`).join(''));
  io.stdout.write(`\n$ ${paint('strong', `rebind reach ${escapeText(shellWords(staged.words))}`)}\n`);
  if (io.signal.aborted) return;
  const command = [...staged.from, process.execPath, itself, 'reach', ...staged.words];
  await runChild(command, io, { ...process.env, ...staged.environment });
  if (keep) await untilKey(io);
}
