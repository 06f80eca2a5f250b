/**
 * Real rules in a namespace of their own: which of them is named, by what proof, and where conntrack sends the packets.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Attempt, Firewall } from '../../../../src/model/reach/evidence.ts';
import { hasEveryUser, namespaceCommand, namespaceEnvironment } from '../../../../src/stage/namespace.ts';

interface Result extends Pick<Attempt, 'errno' | 'counters' | 'refusals'> {
  readonly firewall: Firewall | null;
  readonly gaps: readonly unknown[];
}

const program = join(dirname(fileURLToPath(import.meta.url)), 'firewall-program.js');
const prefix = namespaceCommand();
const has = (name: string): boolean => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
const lacks =
  prefix === null
    ? 'no namespace can be made here'
    : has('nft') && has('iptables-legacy')
      ? false
      : 'nft and iptables are needed';

async function run(rulesets: readonly (readonly string[])[]): Promise<Result[]> {
  const [command = '', ...args] = [...(prefix ?? []), process.execPath, program, JSON.stringify(rulesets)];
  const { stdout } = await promisify(execFile)(command, args, { env: namespaceEnvironment(), timeout: 30_000 });
  return JSON.parse(stdout) as Result[];
}

const here = '127.0.0.1 3000';
const input = (rules: string): string =>
  `nft flush ruleset; nft -f - <<'RULES'
table inet f {
  chain in { type filter hook input priority 0; policy accept;
    ${rules}
  }
}
RULES`;

const cases: readonly {
  readonly title: string;
  readonly ruleset: readonly string[];
  readonly errno: string | null;
  /** The verdict of each rule and its proof. */
  readonly rules: readonly (readonly [verdict: string, proof: string])[];
  readonly text?: RegExp;
  /** Who refused it, by type and code of ICMP, and from where. */
  readonly refusals?: readonly (readonly [type: number, code: number, from: string])[];
  /** Packets that were lost on the way out, and on the way in. */
  readonly lost?: readonly [out: number, in_: number];
  readonly forwardedTo?: { readonly address: string; readonly port: number };
  /** Which tables of the older iptables exist is told to the root of the whole machine only (/proc/net/ip_tables_names). */
  readonly legacy?: true;
}[] = [
  { title: 'without rules none is named', ruleset: [here], errno: null, rules: [] },
  {
    title: 'a rule with a counter is proved by it',
    ruleset: [here, input('tcp dport 3000 counter drop')],
    errno: 'ETIMEDOUT',
    rules: [['drop', 'counted']],
    text: /^tcp dport 3000 counter drop # handle \d+$/,
    refusals: [],
    lost: [0, 1],
  },
  {
    title: 'a packet that is dropped on its way out was never sent',
    ruleset: [here, input('tcp dport 3000 counter drop').replace('hook input', 'hook output')],
    errno: 'ETIMEDOUT',
    rules: [['drop', 'counted']],
    refusals: [],
    lost: [1, 0],
  },
  {
    title: 'a rule that answers by ICMP is told by its author',
    ruleset: [here, input('tcp dport 3000 counter reject with icmp type admin-prohibited')],
    errno: 'EHOSTUNREACH',
    rules: [['reject', 'counted']],
    refusals: [[3, 13, '127.0.0.1']],
  },
  {
    title: 'a rule without a counter is named where it can only fit',
    ruleset: [here, input('ip saddr 127.0.0.0/8 tcp dport 2990-3010 reject with tcp reset')],
    errno: 'ECONNREFUSED',
    rules: [['reject with tcp reset', 'matches']],
    refusals: [],
  },
  {
    title: 'a rule that an earlier one keeps the packet from is not named',
    ruleset: [here, input('iifname lo accept\n drop')],
    errno: null,
    rules: [],
  },
  {
    title: 'sets of ports are looked into, and a policy is named where nothing else decided',
    ruleset: [
      here,
      input('ct state established,related accept\n tcp dport { 22, 80, 8000-9000 } accept').replace(
        'policy accept',
        'policy drop',
      ),
    ],
    errno: 'ETIMEDOUT',
    rules: [['drop', 'matches']],
    text: /^policy drop$/,
  },
  {
    title: 'a map of verdicts is followed',
    ruleset: [here, input('tcp dport vmap { 22 : accept, 3000 : drop }')],
    errno: 'ETIMEDOUT',
    rules: [['drop', 'matches']],
  },
  {
    title: 'what cannot be told is no proof: a rule with a mark that nobody knows is not named',
    ruleset: [here, input('meta mark 7 drop')],
    errno: null,
    rules: [],
  },
  {
    title: 'a chain that a rule jumps to',
    ruleset: [
      here,
      `${input('tcp dport 3000 jump other')}`.replace(
        'table inet f {',
        'table inet f {\n chain other { counter drop; }',
      ),
    ],
    errno: 'ETIMEDOUT',
    rules: [['drop', 'counted']],
  },
  {
    title: 'a destination that is changed, by its rule and by conntrack',
    ruleset: [
      '127.0.0.7 80',
      `nft flush ruleset; nft 'table ip n { chain out { type nat hook output priority -100; ip daddr 127.0.0.7 tcp dport 80 counter dnat to 127.0.0.1:3000; }; }'`,
    ],
    errno: null,
    rules: [['dnat to 127.0.0.1:3000', 'counted']],
    forwardedTo: { address: '127.0.0.1', port: 3_000 },
  },
  {
    legacy: true,
    title: 'the rules of the older iptables',
    ruleset: [
      here,
      'nft flush ruleset; iptables-legacy -N OTHER; iptables-legacy -A OUTPUT -j OTHER; iptables-legacy -A OTHER -p tcp --dport 3000 -j DROP',
    ],
    errno: 'ETIMEDOUT',
    rules: [['DROP', 'counted']],
    text: /^-p tcp -m tcp --dport 3000 -j DROP$/,
  },
  {
    legacy: true,
    title: 'a policy of the older iptables',
    ruleset: [here, 'iptables-legacy -F; iptables-legacy -P INPUT DROP'],
    errno: 'ETIMEDOUT',
    rules: [['drop', 'matches']],
  },
];

describe('the rules of a firewall that a connection met', { skip: lacks, timeout: 60_000 }, async () => {
  const results = lacks === false ? await run(cases.map(({ ruleset }) => ruleset)) : [];
  for (const [index, { title, errno, rules, text, refusals, lost, forwardedTo, legacy }] of cases.entries())
    test(title, { skip: legacy === true && !hasEveryUser() && 'root of the whole machine is needed' }, () => {
      const result = results[index];
      assert.ok(result);
      assert.deepEqual(result.gaps, []);
      assert.equal(result.errno, errno);
      assert.deepEqual(
        result.firewall?.rules?.map(({ verdict, proof }) => [verdict, proof]),
        rules,
      );
      if (text !== undefined) assert.match(result.firewall?.rules?.[0]?.text ?? '', text);
      if (refusals !== undefined)
        assert.deepEqual(
          result.refusals.map(({ type, code, from }) => [type, code, from]),
          refusals,
        );
      const count = (name: string): number => result.counters[name] ?? Number.NaN;
      if (lost !== undefined)
        assert.deepEqual(
          [
            count('Ip.OutRequests') - count('Ip.OutTransmits'),
            count('Ip.InReceives') - count('Ip.InDelivers') - count('Ip.ForwDatagrams'),
          ],
          lost,
        );
      assert.deepEqual(result.firewall?.forwardedTo ?? null, forwardedTo ?? null);
    });
});
