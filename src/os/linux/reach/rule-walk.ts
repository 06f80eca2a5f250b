/**
 * A packet goes through the chains of a firewall: which rules stop it or send it elsewhere. What a rule asks for may not be known; then only
 * its counter proves that it was met.
 */
import type { FirewallRule } from '../../../model/reach/evidence.ts';
import type { Hook } from '../netlink/nftables.ts';
import type { Packet } from './packet.ts';

/** What a rule does to a packet that fits. */
export type Verdict =
  | { readonly kind: 'accept' | 'return' | 'none' | 'unknown' }
  | { readonly kind: 'stop' | 'forward'; readonly text: string }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export interface WalkRule {
  /** Text that others chose. */
  readonly text: string;
  /** Null where it cannot be told. */
  fits(packet: Packet): boolean | null;
  /** Its verdict for a packet that fits. */
  verdict(packet: Packet): Verdict;
  /** How much its counter grew; null without a counter. */
  readonly grown: number | null;
}

export interface WalkChain {
  readonly system: FirewallRule['system'];
  readonly table: string;
  readonly name: string;
  /** Null of one that rules jump to. */
  readonly hook: Hook | null;
  readonly family: 4 | 6 | null;
  readonly policyDrops: boolean;
  readonly rules: readonly WalkRule[];
}

/** Deeper than the kernel allows (NFT_JUMP_STACK_SIZE). */
const deepest = 16;
/** A firewall of thousands of rules is walked once; this is for one whose chains jump to each other again and again. */
const mostSteps = 100_000;

/** The rules that these packets meet, and that do not simply let them pass; each once. */
export function rulesMet(chains: readonly WalkChain[], packets: readonly Packet[]): FirewallRule[] {
  const met = new Map<string, FirewallRule>();
  const walk = new Walk(chains, met);
  for (const packet of packets)
    for (const chain of chains)
      if (chain.hook === packet.hook && (chain.family === null || chain.family === packet.family))
        walk.base(chain, packet);
  return [...met.values()];
}

/** `end`: the packet has a verdict. `perhaps`: it may have one, or may go on. `on`: it goes on. */
type Passed = 'end' | 'perhaps' | 'on';

class Walk {
  readonly #chains: ReadonlyMap<string, WalkChain>;
  readonly #met: Map<string, FirewallRule>;
  #steps = 0;

  constructor(chains: readonly WalkChain[], met: Map<string, FirewallRule>) {
    this.#chains = new Map(chains.map((chain) => [keyOf(chain.system, chain.table, chain.name), chain]));
    this.#met = met;
  }

  base(chain: WalkChain, packet: Packet): void {
    const passed = this.#through(chain, packet, true, 0);
    // Whether an answer comes at all is not known.
    if (chain.policyDrops && passed === 'on' && packet.isFirst) this.#report(chain, `policy drop`, 'drop', 'matches');
  }

  #through(chain: WalkChain, packet: Packet, isSure: boolean, depth: number): Passed {
    let sure = isSure;
    for (const rule of chain.rules) {
      if (++this.#steps > mostSteps || depth > deepest) return 'perhaps';
      // A counter that did not move proves that no packet got there.
      const fits = rule.grown === 0 ? false : rule.fits(packet);
      if (fits === false) continue;
      const passed = this.#apply(chain, rule, packet, sure && fits === true, depth);
      if (passed === 'return') return sure ? 'on' : 'perhaps';
      if (passed === 'end' && fits === true) return sure ? 'end' : 'perhaps';
      if (passed !== 'on') sure = false;
    }
    return sure === isSure ? 'on' : 'perhaps';
  }

  #apply(chain: WalkChain, rule: WalkRule, packet: Packet, sure: boolean, depth: number): Passed | 'return' {
    const verdict = rule.verdict(packet);
    switch (verdict.kind) {
      case 'none':
        return 'on';
      case 'accept':
        return 'end';
      case 'unknown':
        return 'perhaps';
      case 'return':
        return sure ? 'return' : 'perhaps';
      case 'stop':
      case 'forward':
        if (rule.grown !== null && rule.grown > 0) this.#report(chain, rule.text, verdict.text, 'counted');
        else if (sure && rule.grown === null && packet.isFirst) this.#report(chain, rule.text, verdict.text, 'matches');
        return 'end';
      default: {
        const next = this.#chains.get(keyOf(chain.system, chain.table, verdict.chain));
        if (next === undefined) return 'perhaps';
        const passed = this.#through(next, packet, sure, depth + 1);
        // What leaves a chain that was gone to has the verdict of the base chain's policy.
        return verdict.kind === 'goto' && passed === 'on' ? 'perhaps' : passed;
      }
    }
  }

  #report(chain: WalkChain, text: string, verdict: string, proof: FirewallRule['proof']): void {
    const key = `${keyOf(chain.system, chain.table, chain.name)} ${text}`;
    if (!this.#met.has(key))
      this.#met.set(key, { system: chain.system, table: chain.table, chain: chain.name, text, verdict, proof });
  }
}

function keyOf(system: string, table: string, chain: string): string {
  return `${system}\n${table}\n${chain}`;
}
