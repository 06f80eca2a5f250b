import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { installed, isInstalled, rebind } from './command-line.ts';

/** What is typed, and what the shell must offer or put in its place. */
const rows: readonly (readonly [string, string])[] = [
  ['rebind wh', 'why'],
  ['rebind --no-re', '--no-reuse-address'],
  ['rebind why --reuse-a', '--reuse-address'],
  ['rebind ls --js', '--json'],
  ['rebind hold --stat', '--status'],
  ['rebind completion z', 'zsh'],
  ['rebind help compl', 'completion'],
];

/** After `--`, where bash and fish complete only in a terminal: another command, and the words of that command. */
const commandRows: typeof rows = [
  ['rebind hold -- rebin', 'rebind'],
  ['rebind hold 3000 -- rebind completion z', 'zsh'],
  ['rebind hold 3000 --watch src -- rebind ls --js', '--json'],
];

function runShell(shell: string, args: readonly string[]): string {
  using bin = installed();
  const env = { ...process.env, PATH: `${bin.folder}:${process.env['PATH']}`, TERM: 'xterm', HOME: bin.folder };
  const { stdout, stderr, status } = spawnSync(shell, args, { encoding: 'utf8', env, timeout: 60_000 });
  assert.equal(status, 0, `${stderr}\n${stdout}`);
  return stdout;
}

const without = (shell: string) => (isInstalled(shell) ? false : `${shell} is not installed`);

describe('completions in the real shells', () => {
  test('bash', { skip: without('bash') }, () => {
    const calls = rows.map(([line]) => `ask ${line}`).join('\n');
    const output = runShell('bash', [
      '--norc',
      '-c',
      `source <(rebind completion bash)
       ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _rebind; echo "$* => \${COMPREPLY[*]}"; }
       ${calls}
       complete -p rebind`,
    ]);
    for (const [line, offer] of rows) assert(output.split('\n').includes(`${line} => ${offer}`), `${line}\n${output}`);
    assert.match(output, /complete -F _rebind rebind/);
  });

  test('fish', { skip: without('fish') }, () => {
    const calls = rows.map(([line]) => `echo "$(complete -C '${line}')"`).join('\n');
    const output = runShell('fish', ['-N', '-c', `rebind completion fish | source\n${calls}`]);
    const offers = output
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]);
    assert.deepEqual(
      offers,
      rows.map(([, offer]) => offer),
    );
  });

  test('zsh', { skip: without('zsh') }, () => {
    const zshRows = [...rows, ...commandRows];
    // Emacs keys, because zsh takes those of $EDITOR. Only a terminal completes in zsh, so it is run in one of its own: each line is typed with a tab, and Enter runs `echo` with it.
    const script = `
zmodload zsh/zpty
zpty -b inner 'zsh -f -i'
zpty -w inner "autoload -U compinit; compinit -u -D; bindkey -e; source <(rebind completion zsh); PS1='READ''Y> '"
zpty -r -m inner out '*READY> *' || exit 1
${zshRows
  .map(
    ([line], index) => `
zpty -w -n inner '${line}'$'\\t'
zpty -w -n inner $'\\C-aecho \\C-e END-$((${index}+100))\\n'
zpty -r -m inner out '*END-${index + 100}*READY> *' || exit 1
print -r -- "$out"`,
  )
  .join('\n')}
zpty -d inner
`;
    const output = stripVTControlCharacters(runShell('zsh', ['-f', '-c', script]));
    for (const [line, offer] of zshRows) {
      const whole = line.replace(/\S*$/, offer);
      // What was typed ends in a sum; only what echo printed ends in a number.
      assert.match(output, new RegExp(`${whole} +END-1`), whole);
    }
  });

  test('the scripts are valid for their shells', () => {
    using bin = installed();
    for (const shell of ['bash', 'zsh', 'fish']) {
      if (!isInstalled(shell)) continue;
      const file = join(bin.folder, shell);
      writeFileSync(file, rebind(['completion', shell]).stdout);
      const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    }
  });
});
