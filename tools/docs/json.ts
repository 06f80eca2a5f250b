/**
 * docs/json.md, from the schema.
 */
import { documents } from './documents.ts';
import type { Schema } from './schema.ts';

const introduction = `# JSON

\`--json\` prints exactly one document on stdout, also when the command fails; the exit code is the same as without it. Every field is always present. Newer versions may add fields; within \`"schema": 1\` none is removed and none changes its meaning.

A document either answers (\`"error": null\`; those of hold have no such field then) or says why not (see [error](#error)).

Text that came from other processes, such as a command line, is as it was: JSON quotes control characters, so the document is safe in a terminal, but what a program prints from it may not be.
`;

export function jsonPage(): string {
  const sections = Object.entries(documents).map(
    ([name, schema]) =>
      `## ${name}\n\n${schema.description}\n\n| field | type | meaning |\n|---|---|---|\n${tableOf(schema).join('\n')}\n`,
  );
  return [introduction, ...sections].join('\n');
}

/** The schema of one document as a file that a validator reads. */
export function schemaFile(name: string): string {
  const schema = documents[name];
  return `${JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: `rebind ${name}`, ...schema }, null, 2)}\n`;
}

/** A document that has more than one form has the rows of each. */
function tableOf(schema: Schema): string[] {
  const forms = schema.anyOf ?? [schema];
  return [...new Set(forms.flatMap((form) => rows(form, '')))];
}

function rows(schema: Schema, path: string): string[] {
  const found: string[] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const here = path === '' ? name : `${path}.${name}`;
    if (!found.some((row) => row.startsWith(`| \`${here}\` |`)))
      found.push(`| \`${here}\` | ${typeOf(field)} | ${cell(field.description ?? '')} |`);
    for (const row of nested(field, here)) if (!found.includes(row)) found.push(row);
  }
  return found;
}

function nested(field: Schema, path: string): string[] {
  if (field.items !== undefined) return nested(field.items, `${path}[]`);
  if (field.anyOf !== undefined) return field.anyOf.flatMap((choice) => nested(choice, path));
  return rows(field, path);
}

function typeOf(schema: Schema): string {
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if ('const' in schema) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return 'string';
  if (schema.items !== undefined) return `array of ${typeOf(schema.items)}`;
  return [schema.type].flat().join(' or ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
