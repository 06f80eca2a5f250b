/**
 * The completion script of zsh, for a file named `_rebind` in a directory of $fpath, or to be sourced after compinit.
 */

import type { Command, Flag, Operand, Values } from '../command.ts';
import { commonFlags } from '../flags.ts';
import { isMachineValue, visible } from './words.ts';

export function zshCompletion(commands: readonly Command[]): string {
  const listed = visible(commands);
  const why = listed.find(({ name }) => name === 'why');
  return `#compdef rebind
# zsh completion for rebind.
_rebind_values() {
  local -a found values
  found=(\${(f)"$(_call_program values $service __values $1 2>/dev/null)"})
  # A tab ends the value. Not _describe: a colon is part of an address.
  values=(\${found%%$'\\t'*})
  found=(\${found//$'\\t'/  })
  compadd -l -d found -a values
}

_rebind_commands() {
  local -a commands
  commands=(
${listed.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`).join('\n')}
  )
  _describe -t commands command commands
}

_rebind() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _alternative 'commands:command:_rebind_commands' 'endpoints:endpoint: _rebind_values endpoints'
    return
  fi
  case $words[2] in
${listed.map(commandCase).join('\n')}
    *)
      _arguments -s -S${[...(why?.flags ?? []), ...commonFlags].flatMap(flagSpecs).map(continued).join('')}${continued(`'1:endpoint: _rebind_values endpoints'`)}
      ;;
  esac
}

if [[ $funcstack[1] == _rebind ]]; then
  _rebind "$@"
else
  compdef _rebind rebind
fi
`;
}

function commandCase(command: Command): string {
  const specs = [
    ...[...command.flags, ...commonFlags].flatMap(flagSpecs),
    ...command.operands.map((operand, index) => operandSpec(operand, index + 1)),
  ];
  return `    ${command.name})
      shift words
      ((CURRENT--))${command.rest === undefined ? '' : afterDashes}
      _arguments -s -S${specs.map(continued).join('')}
      ;;`;
}

/** What follows `--` is a command line of its own. _arguments takes one rest only, and that is the operands'. */
const afterDashes = `
      if ((\${words[(i)--]} < CURRENT)); then
        ((CURRENT -= \${words[(i)--]}))
        shift \${words[(i)--]} words
        _normal
        return
      fi`;

function continued(spec: string): string {
  return ` \\\n        ${spec}`;
}

function flagSpecs(flag: Flag): string[] {
  const { name, short, summary, value, negatable, repeatable } = flag;
  const text = `[${summary.replace(/[[\]\\:]/g, '\\$&')}]`;
  const argument = value === undefined ? '' : `:${value.name}:${action(value.values)}`;
  const many = repeatable ? '*' : '';
  const specs = [quote(`${many}--${name}${value === undefined ? '' : '='}${text}${argument}`)];
  if (negatable) specs.push(quote(`--no-${name}[Not --${name}]`));
  if (short !== undefined) specs.push(quote(`${many}-${short}${text}${argument}`));
  return specs;
}

function operandSpec({ name, count = 'one', values }: Operand, position: number): string {
  const place = count === 'some' || count === 'any' ? '*' : count === 'optional' ? `${position}:` : `${position}`;
  return quote(`${place}:${name}:${action(values)}`);
}

function action(values: Values | undefined): string {
  if (values === undefined) return ' ';
  return isMachineValue(values) ? ` _rebind_values ${values}` : `(${values.join(' ')})`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
