/** Reads HAProxy's configuration (docs.haproxy.org) as far as it says what happens while servers restart. */
import { type Checked, type Claims, type Finding, noClaims } from './finding.ts';
import { durationMs } from './start-command.ts';

interface Line {
  readonly words: readonly string[];
  readonly line: number;
}

interface Section {
  readonly kind: string;
  readonly name: string;
  readonly lines: readonly Line[];
}

export function checkHaproxy(text: string): Checked {
  const findings: Finding[] = [];
  const sections = sectionsOf(text);
  let defaults: readonly Line[] = [];
  let needed: Claims['needed'] = null;
  for (const section of sections) {
    if (section.kind === 'defaults') defaults = section.lines;
    if (section.kind !== 'backend' && section.kind !== 'listen') continue;
    const lines = [...defaults, ...section.lines];
    const servers = section.lines.filter(({ words }) => words[0] === 'server');
    const base = lines.filter(({ words }) => words[0] === 'default-server').flatMap(({ words }) => words.slice(1));
    for (const { words, line } of servers) {
      const all = [...base, ...words.slice(3)];
      if (!all.includes('check') && !all.includes('agent-check') && servers.length > 1) {
        findings.push({
          rule: 'haproxy-does-not-ask',
          line,
          level: 'fault',
          sentence: `HAProxy never asks whether ${words[1]} is well.`,
          reason: 'A server that is down keeps its share of the clients: they wait for the retries and get 503.',
          fix: `${words.join(' ')} check inter 1s fall 2`,
        });
        continue;
      }
      const wants = waitOf(all, lines);
      if (wants !== null && (needed === null || wants > needed.ms))
        needed = { ms: wants, line, words: `${words[1]} in ${section.name}` };
    }
    findings.push(...retryFindings(lines, section, servers));
  }
  for (const { words, line } of sections.flatMap(({ lines }) => lines))
    if (words[0] === 'http-reuse' && words[1] === 'always')
      findings.push({
        rule: 'haproxy-reuses-always',
        line,
        level: 'note',
        sentence: 'The first request of a client may go over a connection that the server is just closing.',
        reason:
          "In the 10 ms around a server's idle timeout 79 of 360 requests were answered with 502; none with \"safe\", or with a server that keeps idle connections longer than HAProxy (listen with idleTimeoutMs: 'behind-proxy').",
        fix: 'http-reuse safe',
      });
  return { kind: 'HAProxy', findings, gaps: [], claims: { ...noClaims, needed } };
}

function retryFindings(lines: readonly Line[], section: Section, servers: readonly Line[]): Finding[] {
  if (servers.length < 2) return [];
  const redispatches = lines.some(
    ({ words }) => words[0] === 'option' && words[1] === 'redispatch' && !words.includes('no'),
  );
  const isHttp = !lines.some(({ words }) => words[0] === 'mode' && words[1] === 'tcp');
  if (redispatches || !isHttp) return [];
  return [
    {
      rule: 'haproxy-retries-one-server',
      line: servers[0]?.line ?? 1,
      level: 'note',
      sentence: `${section.name} tries the same server again when it refuses, instead of another.`,
      reason:
        'A server that stops at once loses 41 of 1,130 requests in two restarts until it is noticed; 0 with "option redispatch 1".',
      fix: 'option redispatch 1',
    },
  ];
}

/** How long HAProxy needs to notice that a server says no: `inter` × `fall`; one question of the agent; one answer of 404 with disable-on-404. */
function waitOf(words: readonly string[], lines: readonly Line[]): number | null {
  const value = (name: string): string | undefined => {
    const at = words.lastIndexOf(name);
    return at < 0 ? undefined : words[at + 1];
  };
  const time = (text: string | undefined, fallback: number): number => {
    // HAProxy counts in ms without a unit.
    if (text === undefined) return fallback;
    return /^\d+$/.test(text) ? Number(text) : (durationMs(text) ?? fallback);
  };
  if (words.includes('agent-check')) return time(value('agent-inter'), 2000);
  if (!words.includes('check')) return null;
  const interMs = time(value('inter'), 2000);
  const once = lines.some(({ words: line }) => line[0] === 'http-check' && line[1] === 'disable-on-404');
  return interMs * (once ? 1 : Number(value('fall') ?? 3));
}

function sectionsOf(text: string): Section[] {
  const sections: { kind: string; name: string; lines: Line[] }[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const words = raw
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
      .filter(Boolean);
    const [first = ''] = words;
    if (first === '') continue;
    if (
      /^(global|defaults|frontend|backend|listen|resolvers|peers|userlist|program|cache|mailers|ring|http-errors)$/.test(
        first,
      ) &&
      !/^\s/.test(raw)
    )
      sections.push({ kind: first, name: words.slice(0, 2).join(' '), lines: [] });
    else sections.at(-1)?.lines.push({ words, line: index + 1 });
  }
  return sections;
}
