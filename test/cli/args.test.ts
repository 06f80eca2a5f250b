import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asksForJson, readArguments } from '../../src/cli/args.ts';
import type { Command, Invocation } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { UsageError } from '../../src/cli/usage.ts';
import { stopSignals } from '../../src/hold/settings.ts';
import { readyWays } from '../../src/hold/wire/passed.ts';

/** A command of every shape, so that the parser is tested apart from what rebind has. */
const shapes: readonly Command[] = [
  ...commands,
  {
    name: 'run',
    summary: 'Run something',
    page: [],
    operands: [{ name: 'endpoint', summary: 'an endpoint', count: 'some' }],
    rest: { name: 'command', summary: 'a command' },
    flags: [
      { name: 'signal', value: { name: 'NAME', values: ['TERM', 'INT'] }, summary: 'A signal' },
      { name: 'env', value: { name: 'NAME=VALUE' }, repeatable: true, summary: 'A variable' },
      { name: 'quiet', short: 'q', summary: 'Say nothing' },
    ],
    examples: [],
    effect: 'read',
    fast: false,
    load: () => Promise.reject(new Error('Reading arguments must not load anything')),
  },
];

function read(...argv: string[]): Invocation {
  const reading = readArguments(argv, shapes);
  assert.equal(reading.kind, 'run');
  return (reading as { invocation: Invocation }).invocation;
}

function refusal(...argv: string[]): string {
  let message: string | null = null;
  assert.throws(
    () => readArguments(argv, shapes),
    (error: unknown) => {
      assert(error instanceof UsageError);
      message = error.message;
      return true;
    },
  );
  return message ?? '';
}

describe('a command line', () => {
  test('a port alone is short for why', () => {
    const { command, operands } = read('3000');
    assert.equal(command.name, 'why');
    assert.deepEqual(operands, ['3000']);
  });

  test('flags stand before or after the endpoint, and before or after the command', () => {
    for (const argv of [
      ['why', '3000', '--json'],
      ['why', '--json', '3000'],
      ['--json', 'why', '3000'],
      ['--json', '3000'],
    ]) {
      const invocation = read(...argv);
      assert.equal(invocation.command.name, 'why');
      assert.deepEqual(invocation.operands, ['3000']);
      assert.equal(invocation.flag('json'), true);
    }
  });

  test('a flag that can be negated is true, false or not given, and the last one counts', () => {
    assert.equal(read('3000').flag('reuse-address'), undefined);
    assert.equal(read('3000', '--reuse-address').flag('reuse-address'), true);
    assert.equal(read('3000', '--no-reuse-address').flag('reuse-address'), false);
    assert.equal(read('3000', '--no-reuse-address', '--reuse-address').flag('reuse-address'), true);
  });

  test('what stands after -- belongs to the program, whatever it looks like', () => {
    const invocation = read('run', '3000', '-q', '--', 'node', '--json', '--', 'why');
    assert.deepEqual(invocation.operands, ['3000']);
    assert.deepEqual(invocation.rest, ['node', '--json', '--', 'why']);
    assert.equal(invocation.flag('quiet'), true);
    assert.equal(invocation.flag('json'), undefined);
    assert.equal(asksForJson(['run', '3000', '--', 'node', '--json']), false);
  });

  test('a value follows its flag or an equals sign, and a repeatable flag keeps all of them', () => {
    const invocation = read('run', '1', '--env=A=1', '--env', 'B=2', '--signal=INT', '--', 'x');
    assert.deepEqual(invocation.values('env'), ['A=1', 'B=2']);
    assert.equal(invocation.value('signal'), 'INT');
    assert.equal(invocation.value('quiet'), undefined);
  });

  test('--help and --version win over everything that is wrong with the operands', () => {
    assert.deepEqual(readArguments(['--help'], shapes), { kind: 'help', command: null });
    assert.deepEqual(readArguments(['-V'], shapes), { kind: 'version' });
    const help = readArguments(['why', '--help'], shapes);
    assert.equal(help.kind === 'help' && help.command?.name, 'why');
  });
});

describe('a wrong command line is one sentence', () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /^An endpoint or a command is needed/],
    [['whi', '3000'], /^There is no command "whi"\. Did you mean "why"\?$/],
    [['xyzzy'], /^There is no command "xyzzy"\. See "rebind help"\.$/],
    [['3000', '--jsn'], /^"rebind why" has no option "--jsn"\. Did you mean "--json"\?$/],
    [['--jsn'], /^"rebind why" has no option "--jsn"\. Did you mean "--json"\?$/],
    [['3000', '--reuseaddress'], /Did you mean "--reuse-address"\?$/],
    [['3000', '-x'], /^"rebind why" has no option "-x"\./],
    [['3000', `-${'x'.repeat(200)}`], /^There is no option "-xxx/],
    [['help', 'why', 'free'], /^"rebind help" takes one topic: unexpected argument "free"$/],
    [['why'], /^"rebind why" needs an endpoint/],
    [['3000', '--device'], /^The option "--device" needs a value: --device NAME$/],
    [['3000', '--device='], /^The option "--device" needs a value/],
    [
      ['3000', '--device', '--json'],
      /^The option "--device" needs a value; for one that begins with a dash write --device=--json$/,
    ],
    [['3000', '--json=yes'], /^The option "--json" takes no value$/],
    [['3000', '--no-json'], /has no option "--no-json"/],
    [['run', '3000'], /^"rebind run" needs a command after "--"/],
    [['run', '3000', '--'], /^"rebind run" needs a command after "--"/],
    [['run', '--', 'x'], /^"rebind run" needs an endpoint/],
    [['run', '1', '--signal', 'HUP', '--', 'x'], /^The option "--signal" takes TERM or INT, not "HUP"$/],
    [['completion', 'powershell'], /^"rebind completion" takes bash, zsh or fish, not "powershell"/],
  ];
  for (const [argv, sentence] of rows) {
    test(`rebind ${argv.join(' ')}`, () => assert.match(refusal(...argv), sentence));
  }

  test('what was typed cannot reach the terminal as a control sequence', () => {
    for (const word of ['--\u001b[2J', '--\u009b31m', '--a\u202eb', `--${'x'.repeat(500)}`]) {
      const message = refusal('3000', word);
      assert.doesNotMatch(message, /[\u0000-\u001f\u007f-\u009f\u202e]/);
      assert(message.length < 250, message);
    }
  });
});

describe('the table of commands', () => {
  test('names, flags and short letters are unique', () => {
    assert.equal(new Set(commands.map(({ name }) => name)).size, commands.length);
    for (const { name, flags } of commands) {
      assert.equal(new Set(flags.map((flag) => flag.name)).size, flags.length, name);
      const letters = flags.flatMap(({ short }) => (short === undefined ? [] : [short]));
      assert.equal(new Set([...letters, 'h', 'V']).size, letters.length + 2, name);
    }
  });

  test('every command is described', () => {
    for (const { name, summary, page, hidden, examples } of commands) {
      if (hidden) continue;
      assert.match(summary, /^[A-Z].*[^.]$/, name);
      assert(page.length > 0 && examples.length > 0, name);
    }
  });

  test('hold offers exactly the words that it takes: the table does not load hold to know them', () => {
    const hold = commands.find(({ name }) => name === 'hold');
    const offered = (flag: string): unknown => hold?.flags.find(({ name }) => name === flag)?.value?.values;
    assert.deepEqual(offered('stop-signal'), stopSignals);
    assert.deepEqual(offered('ready'), readyWays);
  });

  test('every command loads and can run', async () => {
    for (const { load } of commands) assert.equal(typeof (await load()).run, 'function');
  });
});
