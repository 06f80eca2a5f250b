/**
 * What people type, and what other processes call themselves.
 */
import { isDeepStrictEqual } from 'node:util';
import { readEndpoint, type WhyEndpoint } from '../../src/ask/request.ts';
import { readArguments } from '../../src/cli/args.ts';
import { commands } from '../../src/cli/commands.ts';
import { units } from '../../src/cli/systemd-units.ts';
import { shellWords } from '../../src/cli/text.ts';
import { parseMilliseconds } from '../../src/cli/time.ts';
import { endpointsIn } from '../../src/cli/typed.ts';
import { isUsageError } from '../../src/cli/usage.ts';
import type { HoldOptions } from '../../src/hold/settings.ts';
import { readSettings } from '../../src/hold/settings.ts';
import { formatIpv6, parseIpv6, shortestIpv6 } from '../../src/model/address.ts';
import { isNode, ownFlags, programsOf, scriptOf } from '../../src/model/command-words.ts';
import { formatEndpoint, type ParsedEndpoint, parseEndpoint } from '../../src/model/endpoint.ts';
import type { Holder } from '../../src/model/facts.ts';
import { mayEnd, onlyHasOpen } from '../../src/model/may-end.ts';
import { pathObjection } from '../../src/model/path-trust.ts';
import { programName } from '../../src/model/program.ts';
import { neverEnded, suspect } from '../../src/model/suspect.ts';
import { escapeJson, escapeText, quoted, shellWord } from '../../src/model/text.ts';
import { noAddress, takenForPath } from '../../src/preload/misread.ts';
import type { Random } from '../../test/live/random.ts';
import { facts, holder, socket } from '../../test/model/facts.ts';
import { damagedText, damagedValue } from './mutate.ts';
import { must, ofText, ofValue, ofWords, type Parser, parser } from './parser.ts';
import { cgroups, endpoints, ours, theirs } from './samples.ts';

/** MAX_ARG_STRLEN of execve(2). */
/** No text of another process that a document holds is longer: spelling out a megabyte of them takes its time, in proportion. */
const longestText = 65_536;

const mostWord = 131_072;
/** What is read of the arguments of a process (proc/process.ts). */
const mostArgv = 65_536;

/** What must never reach a terminal: controls, and what reorders or hides text. Written down apart from the rule it checks. */
const unsafe = /[\p{Cc}\p{Bidi_Control}\p{Cs}\u{2028}\u{2029}\u{feff}\u{200b}-\u{200d}\u{e0000}-\u{e007f}]/u;
const isSafe = (text: string): void => must(!unsafe.test(text), 'holds what a terminal acts on');

const isRange = (error: unknown): boolean => error instanceof RangeError && isSentence(error);
const isArgument = (error: unknown): boolean => isRange(error) || (error instanceof TypeError && isSentence(error));
const isUsage = (error: unknown): boolean => isUsageError(error) && isSentence(error);

/** Not a message of the engine, such as of a value that has no such property. */
function isSentence({ message }: Error): boolean {
  isSafe(message);
  return !/is not (a function|iterable)|Cannot (read|set) propert|Cannot convert|call stack|Invalid (array|string) length/.test(
    message,
  );
}

function roundTrip(parsed: ParsedEndpoint): void {
  if (parsed.protocol !== 'unix' && parsed.host === null) return;
  const text = formatEndpoint(
    parsed.protocol === 'unix' ? parsed : { protocol: parsed.protocol, address: parsed.host ?? '', port: parsed.port },
  );
  must(
    isDeepStrictEqual(parseEndpoint(text), parsed),
    `is written as ${JSON.stringify(text)}, which is read otherwise`,
  );
}

/** Words as a shell reads them: apart at blanks, all between quotes as it is, what a terminal would act on by its number in `$'…'`. */
function shellReads(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === ' ') {
      if (word !== null) words.push(word);
      word = null;
    } else if (text.startsWith("$'", at)) {
      const quote = /\$'((?:[^\\']|\\[\s\S])*)'/y;
      quote.lastIndex = at;
      const inner = quote.exec(text)?.[1] ?? '';
      at += inner.length + 2;
      word = (word ?? '').concat(
        inner.replace(
          /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([\s\S]))/g,
          (_all, x, u, wide, other: string) =>
            other === undefined ? String.fromCodePoint(Number.parseInt((x ?? u ?? wide) as string, 16)) : other,
        ),
      );
    } else if (character === "'") {
      const end = text.indexOf("'", at + 1);
      word = (word ?? '') + text.slice(at + 1, end);
      at = end;
    } else if (character === '\\') word = (word ?? '') + (text[++at] ?? '');
    else word = (word ?? '') + character;
  }
  return word === null ? words : [...words, word];
}

/** A process that calls itself as it likes. */
function damagedHolder(random: Random): Holder {
  const words = [...random.pick(theirs)].map((word) =>
    random.chance(0.5) ? word : damagedText(random, theirs.flat(), mostArgv),
  );
  const name = (): string =>
    damagedText(random, ['node', 'systemd', 'conmon', 'sshd', 'MainThread', 'constructor', 'PM2 v7'], 15);
  const parents = Array.from({ length: random.below(4) }, () => ({
    pid: random.pick([1, 2, 7, 40]),
    command: name(),
    argv: random.pick(theirs),
  }));
  return holder({
    pid: random.pick([1, 2, 41, 49, 50]),
    uid: random.pick([0, 1000, 1001]),
    accepts: random.pick([true, false, null]),
    command: name(),
    argv: words,
    parents,
    unit: random.pick([null, 'shop.service', damagedText(random, ['user@1000.service'], 256)]),
    cgroup: random.pick([null, ...cgroups]),
    processState: random.pick(['S', 'T', 'Z', '']),
    tracer: random.pick([null, 7]),
  });
}

const asker = facts().asker;

const unitLine = /^(?:|#[^\n\r\0]*|\[(?:Unit|Socket|Service|Install)\]|[A-Z][A-Za-z0-9]+=[^\n\r\0]*)$/;

export const textParsers: readonly Parser[] = [
  ofText('model/endpoint.ts parseEndpoint', endpoints, parseEndpoint, {
    most: mostWord,
    throws: isRange,
    holds: roundTrip,
  }),
  ofValue(
    'ask/request.ts readEndpoint',
    [
      3000,
      '3000',
      { port: 3000, host: '::1', protocol: 'tcp' },
      { path: '/run/a' },
      { protocol: 'udp', address: '::', port: 53 },
    ],
    (value) => readEndpoint(value as WhyEndpoint),
    {
      throws: isArgument,
      holds: (one) =>
        must(
          one.protocol === 'unix' || (Number.isInteger(one.port) && one.port >= 0 && one.port < 65_536),
          'has no port',
        ),
    },
  ),
  ofWords(
    'cli/typed.ts endpointsIn',
    endpoints.map((each) => [each]),
    endpointsIn,
    {
      throws: isUsage,
      holds: (all) => must(new Set(all).size === all.length, 'has one twice'),
    },
  ),
  ofWords('cli/args.ts readArguments', ours, (words) => readArguments(words, commands).kind, { throws: isUsage }),
  ofText(
    'cli/time.ts parseMilliseconds',
    ['10', '10s', '500ms', '1.5m', '2h', '3min'],
    (text) => parseMilliseconds(text, 'grace'),
    {
      most: mostWord,
      throws: isUsage,
      holds: (ms) => must(ms >= 0 && ms < 2 ** 31, `is ${ms}`),
    },
  ),
  ofText(
    'model/address.ts parseIpv6',
    ['::', '::1', 'fe80::1%eth0', '2001:db8::192.0.2.1', '1:2:3:4:5:6:7:8'],
    parseIpv6,
    {
      most: mostWord,
      holds: (groups, text) => {
        if (groups === null) return;
        must(groups.length === 8 && groups.every((group) => group >= 0 && group < 65_536), 'is no address');
        must(isDeepStrictEqual(parseIpv6(formatIpv6(groups)), groups), 'is written otherwise');
        must(shortestIpv6(shortestIpv6(text)) === shortestIpv6(text), 'has no shortest form');
      },
    },
  ),
  ofText('model/text.ts escapeText', theirs.flat(), escapeText, {
    holds: (safe) => {
      isSafe(safe);
      must(escapeText(safe) === safe, 'is escaped again');
    },
  }),
  ofText('model/text.ts quoted', theirs.flat(), (text) => quoted(text), { holds: isSafe }),
  ofText(
    'model/text.ts escapeJson',
    theirs.flat(),
    (text) => escapeJson(JSON.stringify({ text: text.slice(0, longestText) })),
    {
      holds: (json, text) => {
        isSafe(json);
        must((JSON.parse(json) as { text: string }).text === text.slice(0, longestText), 'is another text');
      },
    },
  ),
  ofText('model/text.ts shellWord', theirs.flat(), shellWord, {
    most: mostArgv,
    holds: (typed, text) => must(isDeepStrictEqual(shellReads(typed), [text]), 'is another word to a shell'),
  }),
  ofWords('cli/text.ts shellWords', theirs, shellWords, {
    most: mostArgv,
    holds: (typed, words) => must(isDeepStrictEqual(shellReads(typed), words), 'are other words to a shell'),
  }),
  ofWords(
    'model/program.ts programName',
    theirs,
    ([command = '', ...argv]) => programName({ command: command.slice(0, 15), argv: [command, ...argv] }),
    {
      most: mostArgv,
      holds: (name) => must(name.length <= 60, 'is longer than a name'),
    },
  ),
  ofWords(
    'model/command-words.ts programsOf',
    theirs,
    (argv) => [programsOf(argv), ownFlags(argv), isNode(argv), scriptOf(argv)],
    {
      most: mostArgv,
    },
  ),
  parser('model/suspect.ts suspect', damagedHolder, (one) => {
    const executable = one.argv[0] ?? null;
    return [suspect(one, asker, () => executable), neverEnded(one, null)];
  }),
  parser(
    'model/may-end.ts mayEnd',
    (random) => {
      const own = damagedHolder(random);
      const held = socket({ local: { address: '::', port: random.below(65_536) }, inode: 7 });
      return { own, all: facts({ sockets: [held], holders: new Map([[7, [own, damagedHolder(random)]]]) }) };
    },
    ({ own, all }) => ({ answer: mayEnd(own, all), idle: onlyHasOpen(own, all) }),
    {
      holds: ({ answer }, { own, all }) => {
        const protectedOne = own.pid === 1 || own.pid === all.asker.pid || all.asker.ancestors.includes(own.pid);
        if (protectedOne) must(answer.kind === 'never', `is ${answer.kind} for process ${own.pid}`);
        // But for a worker that a server of the asker started, and that gave up rights.
        const servers = [...all.holders.values()].flat().filter(({ uid }) => uid === all.asker.uid);
        const isWorker = own.parents.some(({ pid }) => servers.some((server) => server.pid === pid));
        if (own.uid !== all.asker.uid && !isWorker)
          must(answer.kind !== 'yes', 'is yes for the process of another user');
      },
    },
  ),
  parser(
    'model/path-trust.ts pathObjection',
    (random) => ({
      asker: { uid: random.pick([0, 1000, 4_294_967_295]) },
      step: {
        kind: random.pick(['directory', 'link'] as const),
        path: damagedText(random, ['/run/app', '/tmp'], 4_096),
        uid: random.pick([0, null, 1000, 1001, 65_534]),
        gid: random.pick([0, 1000, 33]),
        mode: random.below(0o10000),
      },
    }),
    ({ step, asker: who }) => pathObjection(step, who),
    {
      holds: (objection, { step: { kind, uid, mode }, asker: who }) => {
        const isStranger = uid !== null && uid !== 0 && uid !== who.uid;
        const isOpen = kind === 'directory' && (mode & 0o1002) === 0o002;
        if (isStranger || isOpen) must(objection !== null, 'is no objection where another user leads the path');
      },
    },
  ),
  parser(
    'hold/settings.ts readSettings',
    (random) =>
      damagedValue(random, [
        { command: ['node', 'server.js', '--port', '3000'], endpoints: [3000, 'udp/53'], graceMs: 10, readyBy: 'auto' },
        {
          command: ['env', 'A=1', 'next', 'dev'],
          env: { NODE_OPTIONS: '--inspect=9229' },
          overlap: true,
          stopSignal: 'SIGQUIT',
        },
        {
          command: ['x'],
          cwd: '/',
          watch: ['/'],
          descriptors: [3],
          backlog: '511',
          mostFailures: 0,
          assumeReadyMs: null,
        },
      ]),
    (options) => {
      const { stderr: _stderr, environment: _environment, ...settings } = readSettings(options as HoldOptions);
      return settings;
    },
    {
      throws: isArgument,
      holds: ({ graceMs, lingerMs, mostFailures, command }) => {
        must(
          [graceMs, lingerMs].every((ms) => ms >= 0 && ms < 2 ** 31) && mostFailures >= 0,
          'has a number that is none',
        );
        must(command.length > 0 && command.every((word) => typeof word === 'string'), 'has no command');
      },
    },
  ),
  ofWords(
    'cli/systemd-units.ts units',
    theirs,
    ([program = '', ...rest]) =>
      units({
        endpoints: [{ protocol: 'tcp', address: '::', port: 3000 }],
        command: [program, ...rest],
        program: `/${program}`,
        cwd: `/srv/${rest[0] ?? ''}`,
        graceMs: 10_000,
        stopSignal: 'SIGTERM',
        nodeOptions: '--import=/x',
      }),
    {
      most: mostArgv,
      throws: isRange,
      holds: ({ name, socket: first, service }) => {
        must(/^[\w.-]+$/.test(name), `has the name ${name}`);
        for (const line of [...first.split('\n'), ...service.split('\n')])
          must(unitLine.test(line), `has the line ${line}`);
        must(service.split('\n').filter((line) => line.startsWith('Exec')).length === 1, 'starts two programs');
      },
    },
  ),
  ofText(
    'preload/misread.ts takenForPath',
    ['localhost:3000', 'http://a:80/', '[::1]:3000'],
    (address) => takenForPath({ syscall: 'listen', address }),
    {
      most: mostWord,
    },
  ),
  ofText('preload/misread.ts noAddress', ['example.invalid'], (host) => noAddress(host, { HOST: host }), {
    most: mostWord,
  }),
];
