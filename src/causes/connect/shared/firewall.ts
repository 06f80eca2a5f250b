/** What the causes of our own firewall say: which rule it is, where that may be seen. */
import type { FirewallRule } from '../../../model/reach/evidence.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';
import type { Remedy } from '../../../model/verdict.ts';
import { inetOf } from './attempts.ts';
import { change, look } from './look.ts';

/** A rule in the arguments of a cause. */
export type Rule = {
  readonly system: FirewallRule['system'];
  readonly place: string;
  readonly text: string;
  /** Its own counter shows that it met our packets. */
  readonly proved: boolean;
};

/** @internal The rule that decided, by its counter, else one that matches; null where none is known. Only root reads rules. */
export function decidingRule(question: AddressQuestion, verdict: RegExp): Rule | null {
  const rules = (inetOf(question)?.firewall?.rules ?? []).filter((rule) => verdict.test(rule.verdict));
  const rule = rules.find(({ proof }) => proof === 'counted') ?? rules[0];
  if (rule === undefined) return null;
  const { system, table, chain, text, proof } = rule;
  return { system, place: `${table} ${chain}`, text, proved: proof === 'counted' };
}

/** @internal The end of a sentence. Rules are text of others. */
export function byRule(rule: Rule | null): string {
  if (rule === null) return '';
  return `, ${rule.proved ? 'by' : 'probably by'} the rule "${rule.text}" in ${rule.place}`;
}

/** @internal What shows the rules, and what else drops packets unseen. */
export function inspectRules(question: AddressQuestion, rule: Rule | null, outgoing: boolean): Remedy[] {
  const network = question.advice.network;
  const sentence =
    rule === null
      ? 'Find the rule, and change it; rebind names it when it runs as root'
      : 'Change the rule if the traffic is wanted';
  const cgroup =
    outgoing && rule === null
      ? [
          look(
            'Without a rule, look for a filter of the cgroup, such as IPAddressDeny= of a systemd unit',
            network?.cgroupPrograms,
          ),
        ]
      : [];
  return [change('change-firewall', sentence, network?.rules(rule?.system === 'iptables-legacy')), ...cgroup];
}
