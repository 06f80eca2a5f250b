/** `rebind demo [cause]`: a cause brought about with real processes, and what `rebind why` says about it. */
import { causes } from '../../causes/bind/index.ts';
import type { Cause, StagedVariant } from '../../causes/cause.ts';
import { escapeText } from '../../model/text.ts';
import { insideNamespace, namespaceCommand, namespaceEnvironment, raiseLoopback } from '../../stage/namespace.ts';
import { missing } from '../../stage/needs.ts';
import { openStage } from '../../stage/open.ts';
import { why } from '../../why.ts';
import { causePageText } from '../cause-page.ts';
import type { Invocation } from '../command.ts';
import { connectCauses, demoConnect } from '../demo-connect.ts';
import { runChild, untilKey } from '../demo-run.ts';
import { exit } from '../exit.ts';
import { type Canvas, canvas, type Io } from '../io.ts';
import { itself } from '../itself.ts';
import { wordsOf } from '../request.ts';
import { pad, shellWords, wrap } from '../text.ts';
import { suggestion, UsageError } from '../usage.ts';
import { picture } from '../why-text.ts';

const registry: readonly Cause<string, object>[] = causes;

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const [id] = invocation.operands;
  if (id === undefined) {
    io.stdout.write(listing(canvas(io)));
    return exit.ok;
  }
  const cause = registry.find((one) => one.id === id);
  const connect = connectCauses.find((one) => one.id === id);
  // A name that both have is staged as the port sees it.
  if (cause === undefined && connect !== undefined) return demoConnect(connect, invocation.flag('keep') === true, io);
  if (cause === undefined) {
    const ids = [...registry, ...connectCauses].map((one) => one.id);
    throw new UsageError(
      `There is no cause ${JSON.stringify(escapeText(id.slice(0, 40)))}.${suggestion(id, ids) || ' "rebind demo" lists them.'}`,
    );
  }
  const keep = invocation.flag('keep') === true;
  return insideNamespace() ? showInNamespace(cause, keep, io) : showApart(cause, keep, io);
}

function listing(canvas: Canvas): string {
  const staged = connectCauses.filter(({ id, stages }) => stages.length > 0 && !registry.some((one) => one.id === id));
  const here = registry.filter(({ stages }) => stages.length > 0);
  const width = Math.max(...[...here, ...staged].map(({ id }) => id.length)) + 2;
  const linesOf = (causes: readonly { readonly id: string; readonly title: string }[]): string[] =>
    causes.flatMap(({ id, title }) => {
      const [first = '', ...more] = wrap(title, Math.max(20, canvas.width - width));
      return [`${canvas.paint('strong', pad(id, width))}${first}`, ...more.map((line) => ' '.repeat(width) + line)];
    });
  const lines = [
    'Why a port is not available',
    ...linesOf(here),
    '',
    'Why a client cannot connect',
    ...linesOf(staged),
  ];
  return `${[...lines, '', 'Stage one: rebind demo <cause>', 'Only read about it: rebind help <cause>'].join('\n')}\n`;
}

/** In a namespace of its own where the machine allows it: ports and settings that nobody else has, and a clean end. */
async function showApart(cause: Cause<string, object>, keep: boolean, io: Io): Promise<number> {
  // To practise on it from another terminal it must be where that terminal is.
  const here = keep ? variantOf(cause) : null;
  if (here !== null) return show(cause, here, keep, io);
  const apart = namespaceCommand();
  if (apart !== null) {
    const code = await runChild(
      [...apart, process.execPath, itself, 'demo', cause.id, ...(keep ? ['--keep'] : [])],
      io,
      namespaceEnvironment(),
    );
    if (code !== exit.unsupported) return code;
  }
  // What a namespace does not have, such as containers, this machine may.
  const variant = variantOf(cause);
  if (variant !== null) return show(cause, variant, keep, io);
  const reason = missing(cause.stages[0]?.needs ?? []) ?? 'it has no situation';
  io.stderr.write(`rebind: ${cause.id} cannot be staged here: ${escapeText(reason)}\n`);
  return exit.unsupported;
}

async function showInNamespace(cause: Cause<string, object>, keep: boolean, io: Io): Promise<number> {
  raiseLoopback();
  const variant = variantOf(cause);
  return variant === null ? exit.unsupported : show(cause, variant, keep, io);
}

async function show(cause: Cause<string, object>, variant: StagedVariant, keep: boolean, io: Io): Promise<number> {
  io.stdout.write(`${causePageText(cause, canvas(io), false)}\n${canvas(io).paint('strong', 'Now for real')}\n`);
  await explainStaged(variant, keep, io);
  const { width } = canvas(io);
  const shown = variant.expect.cause;
  const beside =
    typeof shown === 'string' && shown !== cause.id
      ? [`The answer names ${shown} first; ${cause.id} follows after "Also:".`]
      : [];
  const end = 'The demo has stopped what it started, so the commands above have nothing left to do.';
  io.stdout.write(`\n${[...beside, end].flatMap((line) => wrap(line, width)).join('\n')}\n`);
  return exit.ok;
}

async function explainStaged(variant: StagedVariant, keep: boolean, io: Io): Promise<void> {
  const { paint, width } = canvas(io);
  await using stage = openStage();
  const staged = await variant.stage(stage);
  const situation = wrap(`${capital(escapeText(staged.description))}.`, width - 2).map((line) => `  ${line}\n`);
  const { endpoint } = staged.request;
  if (endpoint.protocol !== 'unix' && endpoint.port === 0) {
    // Only a program asks for any port; the command is asked about a definite one.
    const asked = { host: endpoint.address, port: 0 };
    io.stdout.write(`${situation.join('')}\n> ${paint('strong', `await why(${JSON.stringify(asked)})`)}\n`);
    io.stdout.write(picture(await why(asked), canvas(io), io.now()));
    if (keep) await untilKey(io);
    return;
  }
  const words = wordsOf(staged.request);
  io.stdout.write(`${situation.join('')}\n$ ${paint('strong', `rebind why ${escapeText(shellWords(words))}`)}\n`);
  if (io.signal.aborted) return;
  await runChild([...staged.askAs, process.execPath, itself, 'why', ...words], io, process.env);
  if (keep) await untilKey(io);
}

function capital(sentence: string): string {
  return sentence.slice(0, 1).toUpperCase() + sentence.slice(1);
}

/** The first situation of a cause that this machine can bring about, and that shows this cause and not its absence. */
function variantOf(cause: Cause<string, object>): StagedVariant | null {
  const shows = ({ expect }: StagedVariant): boolean =>
    expect.cause === undefined || expect.cause === cause.id || expect.also?.includes(cause.id) === true;
  const possible = cause.stages.filter((stage) => shows(stage) && missing(stage.needs) === null);
  // Rather one where it is the verdict than one where it comes along with another.
  return possible.find(({ expect }) => (expect.cause ?? cause.id) === cause.id) ?? possible[0] ?? null;
}
