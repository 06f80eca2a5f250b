/** Reads a Compose file (compose-spec) as far as it says how servers are started, stopped and reached. */
import { type Checked, type Finding, ManifestError, noClaims } from './finding.ts';
import {
  corrected,
  durationMs,
  isKill,
  isLoopbackVariable,
  killFinding,
  lameDuckIn,
  loopbackFinding,
  loopbackIn,
  shellFault,
  splitWords,
  startFault,
} from './start-command.ts';
import { readYaml, type Tree, templated } from './yaml-tree.ts';

/** @throws {ManifestError} */
export function checkCompose(text: string): Checked {
  const { documents, isTemplate } = readYaml(text);
  const services = documents[0]?.get('services');
  if (services === undefined || services.entries().length === 0)
    throw new ManifestError('It has no services, so it is no Compose file');
  const findings: Finding[] = [];
  let lameDuckMs: number | null = null;
  const published = new Map<string, string>();
  for (const [name, service] of services.entries()) {
    const words = [...wordsOf(service.get('entrypoint')), ...wordsOf(service.get('command'))];
    lameDuckMs ??= lameDuckIn(words);
    findings.push(...startFindings(service), ...stopFindings(service, words), ...loopbackFindings(service, words));
    for (const port of service.get('ports').items()) {
      const host = hostPortOf(port);
      if (host === null) continue;
      const other = published.get(host);
      if (other !== undefined && other !== name)
        findings.push({
          rule: 'published-twice',
          line: port.line,
          level: 'fault',
          sentence: `${name} publishes port ${host}, which ${other} publishes as well.`,
          reason: 'The engine gives the port to the one that starts first; the other does not start.',
          fix: null,
        });
      published.set(host, name);
    }
  }
  return {
    kind: 'Compose',
    findings,
    gaps: isTemplate ? ['what stands between {{ and }}'] : [],
    claims: { ...noClaims, lameDuckMs },
  };
}

function startFindings(service: Tree): Finding[] {
  const isBusybox = /alpine|busybox/.test(String(service.get('image').scalar ?? ''));
  const [key, tree] = service.get('entrypoint').exists
    ? (['entrypoint', service.get('entrypoint')] as const)
    : (['command', service.get('command')] as const);
  if (!tree.exists) return [];
  const words = wordsOf(tree);
  const whole = key === 'entrypoint' ? [...words, ...wordsOf(service.get('command'))] : words;
  const init = service.get('init').scalar === true ? ['docker-init', '--'] : [];
  const fault =
    words.length === 1 && /[;&|]/.test(words[0] ?? '')
      ? shellFault(words[0] ?? '', isBusybox)
      : startFault({ words: [...init, ...whole], isBusybox });
  if (fault === null) return [];
  const right = corrected(whole, fault.rule);
  const fix = right === null ? null : `${key}: ${JSON.stringify(right)}`;
  return [{ ...fault, line: tree.line, level: 'fault', fix }];
}

/** Compose splits a text into words and starts them without a shell. */
function wordsOf(tree: Tree): readonly string[] {
  return typeof tree.scalar === 'string' ? splitWords(tree.scalar) : tree.texts();
}

/** Compose's default (compose-spec, stop_grace_period). */
const defaultGraceMs = 10_000;

function stopFindings(service: Tree, words: readonly string[]): Finding[] {
  const found: Finding[] = [];
  const signal = String(service.get('stop_signal').scalar ?? '');
  if (isKill(signal)) found.push(killFinding(service.get('stop_signal').line, 'stop_signal: SIGTERM'));
  const lameMs = lameDuckIn(words);
  const grace = service.get('stop_grace_period');
  const graceMs = grace.exists ? durationMs(String(grace.scalar)) : defaultGraceMs;
  if (lameMs !== null && graceMs !== null && lameMs >= graceMs)
    found.push({
      rule: 'grace-too-short',
      line: grace.exists ? grace.line : service.line,
      level: 'fault',
      sentence: `The server goes on accepting for ${lameMs / 1000} s and is killed after ${graceMs / 1000} s.`,
      reason: 'Nothing is left of the grace period for the answers that are under way: they are cut off.',
      fix: `stop_grace_period: ${Math.ceil(lameMs / 1000) + 15}s`,
    });
  return found;
}

function loopbackFindings(service: Tree, words: readonly string[]): Finding[] {
  if (service.get('network_mode').scalar === 'host') return [];
  const ports = service.get('ports').items();
  if (ports.length === 0) return [];
  const found: Finding[] = [];
  const said = (sentence: string, line: number, fix: string | null): number =>
    found.push(loopbackFinding(line, sentence, fix));
  const inCommand = loopbackIn(words.flatMap((word) => word.split(/\s+/)));
  if (inCommand !== null)
    said(
      `The server listens on the container's own loopback (${inCommand}), and its port is published.`,
      service.get('command').line,
      null,
    );
  const environment = service.get('environment');
  for (const [name, value] of environment.entries())
    if (isLoopbackVariable(name, String(value.scalar)))
      said(
        `${name}=${value.scalar} makes the server listen on the container's own loopback, and its port is published.`,
        value.line,
        `${name}: 0.0.0.0`,
      );
  for (const item of environment.items()) {
    const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(String(item.scalar ?? '')) ?? [];
    if (isLoopbackVariable(name, value))
      said(
        `${name}=${value} makes the server listen on the container's own loopback, and its port is published.`,
        item.line,
        `- ${name}=0.0.0.0`,
      );
  }
  return found;
}

/** The port of the machine that a port of a service is published on, `ADDRESS:PORT/PROTOCOL`, or null where the engine chooses one. */
function hostPortOf(port: Tree): string | null {
  const protocol = String(port.get('protocol').scalar ?? 'tcp');
  if (port.get('published').exists) return `${port.get('published').scalar}${protocol === 'tcp' ? '' : `/${protocol}`}`;
  const text = String(port.scalar ?? '');
  if (text.includes(templated) || text.includes('$')) return null;
  const read = /^(?:(.+):)?(\d+):\d+(\/udp)?$/.exec(text);
  return read === null ? null : `${read[1] === undefined ? '' : `${read[1]}:`}${read[2]}${read[3] ?? ''}`;
}
