/** Reads the scripts of a package.json as far as they start servers. */
import { type Checked, type Finding, ManifestError, noClaims } from './finding.ts';
import { startFault } from './start-command.ts';

/** @throws {ManifestError} */
export function checkPackageJson(text: string): Checked {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (error) {
    throw new ManifestError(`It is no JSON: ${(error as Error).message.slice(0, 120)}`);
  }
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest))
    throw new ManifestError('It is no object, so it is no package.json');
  const scripts = (manifest as { scripts?: unknown }).scripts;
  const findings: Finding[] = [];
  if (typeof scripts === 'object' && scripts !== null)
    for (const [name, script] of Object.entries(scripts))
      if (typeof script === 'string') findings.push(...scriptFindings(name, script, lineOf(text, name, script)));
  return { kind: 'package.json', findings, gaps: [], claims: noClaims };
}

const production = /^(start|serve|start:prod|production|prod)$/;

function scriptFindings(name: string, script: string, line: number): Finding[] {
  const found: Finding[] = [];
  const killer =
    /(?:^|[\s;&|])(?:npx\s+)?(kill-port|fkill|kill-port-process|cross-port-killer)\s+(?:--?\S+\s+)*:?(\d+)|lsof\s[^|]*:(\d+)[^|]*\|\s*xargs\s[^|&;]*kill|fuser\s+-\w*k\w*\s+(\d+)\/tcp/.exec(
      script,
    );
  if (killer !== null) {
    const port = killer[2] ?? killer[3] ?? killer[4] ?? '';
    found.push({
      rule: 'kills-by-port',
      line,
      level: 'fault',
      sentence: `"${name}" kills whatever has port ${port}.`,
      reason:
        'That includes clients of the port, programs of other projects and what a manager starts again at once; and the port may still be blocked by what the killed server left.',
      fix: `"${name}": ${JSON.stringify(script.replace(killer[0].trim(), `rebind free ${port}`))}`,
    });
  }
  if (!production.test(name)) return found;
  const words = script.split(/\s+/);
  const fault = startFault({ words, isBusybox: false });
  if (fault?.rule === 'watcher-in-production') found.push({ ...fault, line, level: 'fault', fix: null });
  const parts = script.split(/&&|;/).map((part) => part.trim());
  const server = parts.at(-1) ?? '';
  if (parts.length > 1 && /^(node|tsx|next start|nest start|fastify start|remix-serve)\b/.test(server))
    found.push({
      rule: 'script-keeps-the-signal',
      line,
      level: 'note',
      sentence: `"${name}" starts the server from a shell that goes on waiting for it.`,
      reason:
        'A signal to npm ends the shell and not the server, which is left behind or killed: the shell must be replaced by it.',
      fix: `"${name}": ${JSON.stringify([...parts.slice(0, -1), `exec ${server}`].join(' && '))}`,
    });
  return found;
}

/** The line of a script: its key and its text together, as they are written. */
function lineOf(text: string, name: string, script: string): number {
  const key = JSON.stringify(name);
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.includes(key) && line.includes(JSON.stringify(script)));
  return (at < 0 ? lines.findIndex((line) => line.includes(key)) : at) + 1 || 1;
}
