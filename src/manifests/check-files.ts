/**
 * Will what these files start listen, drain and end as it should? Text in, findings out: nothing is run, and nothing is asked.
 */
import { checkDockerfile } from './dockerfile.ts';
import { type Checked, type FileKind, type Finding, ManifestError } from './finding.ts';
import { checkHaproxy } from './haproxy.ts';
import { checkNginx } from './nginx.ts';
import { checkPackageJson } from './package-json.ts';

/** A file that was given. */
export interface ManifestFile {
  readonly path: string;
  readonly text: string;
}

/** What became of one. */
export interface FileReport {
  readonly path: string;
  /** Null when it is none of the kinds, or could not be read. */
  readonly kind: FileKind | null;
  readonly findings: readonly Finding[];
  readonly gaps: readonly string[];
  /** Why it could not be checked, one sentence, or null. */
  readonly problem: string | null;
}

/** Larger is no file that a person wrote. */
const mostBytes = 1_000_000;

/** Checks each file by itself, then what they say of each other. */
export async function checkFiles(files: readonly ManifestFile[]): Promise<readonly FileReport[]> {
  const read: { file: ManifestFile; checked: Checked | null; problem: string | null }[] = [];
  for (const file of files) {
    try {
      read.push({ file, checked: await checkOne(file), problem: null });
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      read.push({ file, checked: null, problem: error.message });
    }
  }
  const together = lameDuckFinding(read.flatMap(({ file, checked }) => (checked === null ? [] : [{ file, checked }])));
  return read.map(({ file, checked, problem }) => {
    const more = together?.path === file.path ? [together.finding] : [];
    const findings = [...(checked?.findings ?? []), ...more].sort((a, b) => a.line - b.line);
    return { path: file.path, kind: checked?.kind ?? null, findings, gaps: checked?.gaps ?? [], problem };
  });
}

async function checkOne({ path, text }: ManifestFile): Promise<Checked> {
  if (text.length > mostBytes)
    throw new ManifestError(`It has ${text.length} characters, and at most ${mostBytes} are read`);
  if (text.includes('\0')) throw new ManifestError('It is no text');
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/(^|\.)(Dockerfile|Containerfile)(\.|$)|\.dockerfile$/i.test(name)) return checkDockerfile(text);
  if (name === 'package.json') return checkPackageJson(text);
  if (/\.ya?ml$/i.test(name) || /\.tpl$/.test(name)) {
    // A parser of its own size, for those who need it.
    if (/^services\s*:/m.test(text) && !/^apiVersion\s*:/m.test(text))
      return (await import('./compose.ts')).checkCompose(text);
    return (await import('./kubernetes.ts')).checkKubernetes(text);
  }
  if (/\.cfg$/.test(name) || /haproxy/i.test(name)) return checkHaproxy(text);
  if (/nginx/i.test(name) || /\.conf$/.test(name)) return checkNginx(text);
  throw new ManifestError(
    'Its name tells no kind that is known: a Dockerfile, compose.yaml, Kubernetes manifests (*.yaml), nginx (*.conf), HAProxy (*.cfg) or package.json',
  );
}

/** The lame duck of one file against what the balancer of another needs. */
function lameDuckFinding(
  all: readonly { readonly file: ManifestFile; readonly checked: Checked }[],
): { readonly path: string; readonly finding: Finding } | null {
  const duck = all.find(({ checked }) => checked.claims.lameDuckMs !== null)?.checked.claims.lameDuckMs ?? null;
  const asker = all.find(({ checked }) => checked.claims.needed !== null);
  const needed = asker?.checked.claims.needed ?? null;
  if (duck === null || needed === null || asker === undefined || duck >= needed.ms) return null;
  return {
    path: asker.file.path,
    finding: {
      rule: 'lame-duck-too-short',
      line: needed.line,
      level: 'fault',
      sentence: `HAProxy needs ${needed.ms / 1000} s to notice that ${needed.words} is going, and the server waits for ${duck / 1000} s.`,
      reason:
        'It goes on sending clients to a server that refuses them: with 5 s instead of 6, 11 requests were lost in two restarts; with 6 s, none.',
      fix: null,
    },
  };
}
