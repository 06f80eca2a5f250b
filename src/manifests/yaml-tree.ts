/** YAML with the line of every value. Loaded by what reads YAML alone. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { ManifestError } from './finding.ts';

/** A value somewhere in a document. */
export interface Tree {
  /** A text, number, flag or null; undefined for a list or a map, or where nothing is. */
  readonly scalar: string | number | boolean | null | undefined;
  readonly line: number;
  readonly exists: boolean;
  /** The value of a key, or of several, one in the other. */
  get(...keys: readonly string[]): Tree;
  /** The members of a list. */
  items(): readonly Tree[];
  /** The pairs of a map. */
  entries(): readonly (readonly [key: string, value: Tree, line: number])[];
  /** Its scalars as text, of a list or of one text. */
  texts(): readonly string[];
}

/** A map may bring in another that brings in another; one that brings in itself must end. */
const mostMerges = 8;

/** What stands in a template for a value that is filled in later. */
export const templated = '__TEMPLATED__';

/**
 * The documents of a file. Go templates, as Helm's, are taken out: their lines are left, their values are unknown.
 *
 * @throws {ManifestError} with the line where it is broken.
 */
export function readYaml(text: string): { readonly documents: readonly Tree[]; readonly isTemplate: boolean } {
  const isTemplate = text.includes('{{');
  const plain = isTemplate ? withoutTemplates(text) : text;
  const lines = new LineCounter();
  // A pretty error copies its line, of which one can have a hundred thousand errors.
  const documents = parseAllDocuments(plain, {
    lineCounter: lines,
    uniqueKeys: false,
    logLevel: 'silent',
    prettyErrors: false,
  });
  const trees: Tree[] = [];
  for (const document of 'empty' in documents ? [] : documents) {
    const [broken] = document.errors;
    if (broken !== undefined) {
      const { line } = lines.linePos(broken.pos[0]);
      throw new ManifestError(
        isTemplate
          ? `Its templates hide what it says (line ${line}): give what "helm template" prints`
          : `It is no YAML: ${broken.message.split('\n')[0]?.replace(/ at line.*$/, '')} (line ${line})`,
      );
    }
    // Every alias of an anchor is a reference: nothing is copied, so that a file of a few bytes cannot fill the memory.
    const resolve = (node: unknown): Node | null =>
      isAlias(node) ? (node.resolve(document) ?? null) : ((node as Node | null) ?? null);
    const treeOf = (node: unknown, line: number, merges = 0): Tree => {
      const seen = resolve(node);
      const own = (node as Node | null)?.range?.[0];
      const at = own === undefined ? line : lines.linePos(own).line;
      return {
        scalar: isScalar(seen) ? (seen.value as Tree['scalar']) : undefined,
        line: at,
        exists: seen !== null,
        get: (...keys) => {
          let tree = treeOf(node, at);
          for (const key of keys) tree = tree.entries().find(([name]) => name === key)?.[1] ?? treeOf(null, tree.line);
          return tree;
        },
        items: () => (isSeq(seen) ? seen.items.map((item) => treeOf(item, at)) : []),
        entries: () =>
          isMap(seen)
            ? seen.items.flatMap(({ key, value }) => {
                const name = isScalar(key) ? String(key.value) : '';
                const keyLine = isScalar(key) && key.range != null ? lines.linePos(key.range[0]).line : at;
                // `<<: *defaults` brings the pairs of another map.
                if (name === '<<') return merges < mostMerges ? [...treeOf(value, keyLine, merges + 1).entries()] : [];
                return [[name, treeOf(value, keyLine), keyLine] as const];
              })
            : [],
        texts: () => {
          if (isScalar(seen)) return [String(seen.value)];
          return isSeq(seen) ? seen.items.map((item) => String(treeOf(item, at).scalar ?? '')) : [];
        },
      };
    };
    if (document.contents !== null) trees.push(treeOf(document.contents, 1));
  }
  return { documents: trees, isTemplate };
}

/** A line that is only a template becomes a comment, a template within a line a word. */
function withoutTemplates(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      if (/^\s*\{\{[^}]*\}\}\s*$/.test(line)) return '#';
      // Behind the last end none begins, however many seem to.
      const end = line.lastIndexOf('}}') + 2;
      return line.slice(0, end).replaceAll(/\{\{.*?\}\}/g, templated) + line.slice(end);
    })
    .join('\n');
}
