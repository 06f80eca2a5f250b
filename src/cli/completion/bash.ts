/**
 * The completion script of bash. It needs nothing but bash 4: no bash-completion package.
 */

import type { Command, Flag, Operand } from '../command.ts';
import { commonFlags } from '../flags.ts';
import { flagWords, isMachineValue, valueFlags, visible } from './words.ts';

export function bashCompletion(commands: readonly Command[]): string {
  const names = visible(commands).map(({ name }) => name);
  return `# bash completion for rebind. Load it with: source <(rebind completion bash)
_rebind() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= operands=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      --) compopt -o default; return ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=\${COMP_WORDS[i]}; else ((operands++)); fi ;;
    esac
  done
  case $command in
    '')
      if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W '${[...flagWordsOf(commands, 'why'), ...flagWords(commonFlags)].join(' ')}' -- "$current"))
      else
        COMPREPLY=($(compgen -W "${names.join(' ')} $("\${COMP_WORDS[0]}" __values endpoints 2>/dev/null | cut -f1)" -- "$current"))
      fi
      return ;;
${visible(commands).map(commandCase).join('\n')}
  esac
}
complete -F _rebind rebind
`;
}

function flagWordsOf(commands: readonly Command[], name: string): string[] {
  return flagWords(commands.find((command) => command.name === name)?.flags ?? []);
}

function commandCase(command: Command): string {
  const flags = [...flagWords(command.flags), ...flagWords(commonFlags)];
  const withValues = valueFlags(command.flags);
  const lines = [`    ${command.name})`];
  if (withValues.length > 0) {
    lines.push('      case $previous in');
    for (const flag of withValues) lines.push(`        --${flag.name}) ${flagValues(flag)}; return ;;`);
    lines.push('      esac');
  }
  lines.push(
    `      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W '${flags.join(' ')}' -- "$current")); return; fi`,
  );
  for (const [index, operand] of command.operands.entries()) {
    const test = operand.count === 'some' || operand.count === 'any' ? 'true' : `[[ $operands == ${index} ]]`;
    lines.push(`      if ${test}; then ${reply(operandWords(operand))}; fi`);
  }
  return [...lines, '      ;;'].join('\n');
}

function flagValues(flag: Flag): string {
  const values = flag.value?.values;
  if (values === undefined) return ':';
  return reply(
    isMachineValue(values) ? `$("\${COMP_WORDS[0]}" __values ${values} 2>/dev/null | cut -f1)` : values.join(' '),
  );
}

function operandWords({ values }: Operand): string {
  if (values === undefined) return '';
  return isMachineValue(values) ? `$("\${COMP_WORDS[0]}" __values ${values} 2>/dev/null | cut -f1)` : values.join(' ');
}

function reply(words: string): string {
  return `COMPREPLY=($(compgen -W "${words}" -- "$current"))`;
}
