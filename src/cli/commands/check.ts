/** `rebind check <file>...`. */
import { closeSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkFiles, type FileReport, type ManifestFile } from '../../manifests/check-files.ts';
import type { Finding } from '../../manifests/finding.ts';
import { escapeText, quoted } from '../../model/text.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { type Canvas, canvas, type Io } from '../io.ts';
import { checkDocument, print } from '../json.ts';
import { wrap } from '../text.ts';
import { UsageError } from '../usage.ts';
import { count } from '../words.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const files = invocation.operands.flatMap(filesAt);
  const reports = await checkFiles(files);
  if (invocation.flag('json')) io.stdout.write(print(checkDocument(reports)));
  else io.stdout.write(text(reports, canvas(io)));
  if (reports.some(({ findings }) => findings.some(({ level }) => level === 'fault'))) return exit.blocked;
  return reports.some(({ problem }) => problem !== null) ? exit.unknown : exit.ok;
}

const known =
  /^((.+\.)?(Dockerfile|Containerfile)(\..+)?|.+\.dockerfile|(docker-)?compose(\..+)?\.ya?ml|package\.json|nginx(\..+)?\.conf|haproxy(\..+)?\.cfg)$/i;

/** The file, or those of a directory whose names are known. @throws {UsageError} */
function filesAt(path: string): ManifestFile[] {
  try {
    if (!statSync(path).isDirectory()) return [read(path)];
    const names = readdirSync(path).filter((name) => known.test(name) || isKubernetes(join(path, name)));
    if (names.length === 0)
      throw new UsageError(
        `${quoted(path)} has no Dockerfile, compose.yaml, Kubernetes manifest, package.json, nginx.conf or haproxy.cfg`,
      );
    return names.sort().map((name) => read(join(path, name)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UsageError(`There is no file ${quoted(path)}`);
    if (code === 'EACCES' || code === 'EPERM') throw new UsageError(`You may not read ${quoted(path)}`);
    if (code === 'EISDIR' || code === 'ENOTDIR') throw new UsageError(`${quoted(path)} is no file`);
    throw error;
  }
}

/** A manifest may have any name, so its text decides. */
function isKubernetes(path: string): boolean {
  if (!/\.ya?ml$/i.test(path)) return false;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.size > mostBytes) return false;
  const { text } = read(path);
  return /^apiVersion[ \t]*:/m.test(text) && /^kind[ \t]*:/m.test(text);
}

/** More is refused with a sentence. */
const mostBytes = 4_000_000;

/** As many bytes as the file says that it has: those of /proc say 0, and some of them never end. */
function read(path: string): ManifestFile {
  const { size } = checked(statSync(path), path);
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(size);
    let length = 0;
    for (let got = -1; got !== 0 && length < size; length += got)
      got = readSync(fd, bytes, length, size - length, null);
    return { path, text: bytes.toString('utf8', 0, length) };
  } finally {
    closeSync(fd);
  }
}

function checked(stat: Stats, path: string): Stats {
  if (!stat.isFile()) throw new UsageError(`${quoted(path)} is no file that can be read to its end`);
  if (stat.size > mostBytes)
    throw new UsageError(`${quoted(path)} has ${stat.size} bytes, and at most ${mostBytes} are read`);
  return stat;
}

function text(reports: readonly FileReport[], canvas: Canvas): string {
  const lines = reports.flatMap((report) => fileLines(report, canvas));
  const findings = reports.flatMap((report) => report.findings);
  const faults = findings.filter(({ level }) => level === 'fault').length;
  const notes = findings.length - faults;
  const checked = reports.filter(({ problem }) => problem === null).length;
  if (checked === 0) return `${[...lines, canvas.paint('unsure', 'No file was checked')].join('\n')}\n`;
  const files = count(checked, 'file');
  const sum =
    findings.length === 0
      ? `${canvas.paint('good', 'Nothing found')} in ${files}`
      : `${count(faults, 'fault')} and ${count(notes, 'note')} in ${files}`;
  return `${[...lines, sum].join('\n')}\n`;
}

function fileLines({ path, findings, gaps, problem }: FileReport, canvas: Canvas): string[] {
  const name = escapeText(path);
  const lines = findings.flatMap((finding) => findingLines(name, finding, canvas));
  if (problem !== null) lines.push(...wrap(`${name}: not checked. ${problem}.`, canvas.width), '');
  if (gaps.length > 0) lines.push(...wrap(`${name}: not seen: ${gaps.map(escapeText).join('; ')}.`, canvas.width), '');
  return lines;
}

function findingLines(name: string, finding: Finding, canvas: Canvas): string[] {
  const { line, level, rule } = finding;
  const head = `${canvas.paint(level === 'fault' ? 'bad' : 'unsure', `${name}:${line}`)}  ${canvas.paint('faint', level === 'fault' ? rule : `${rule} (note)`)}`;
  const indented = (words: string): string[] => wrap(escapeText(words), canvas.width - 2).map((one) => `  ${one}`);
  const fix = (finding.fix ?? '')
    .split('\n')
    .filter(Boolean)
    .map((one) => `  ${canvas.paint('strong', escapeText(one))}`);
  return [head, ...indented(finding.sentence), ...indented(finding.reason), ...fix, ''];
}
