/**
 * The part of JSON Schema (draft 2020-12) that the documents need: how to write it, and how to hold a value against it.
 */

/** The part of JSON Schema that is needed here. */
export interface Schema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

export const text = (description: string): Schema => ({ description, type: 'string' });
export const whole = (description: string): Schema => ({ description, type: 'integer' });
export const yes = (description: string): Schema => ({ description, type: 'boolean' });
export const list = (description: string, items: Schema): Schema => ({ description, type: 'array', items });
export const plain = (description: string): Schema => ({ description, type: 'object' });
export const one = (description: string, values: readonly string[]): Schema => ({ description, enum: values });

/** Every field of an object is always present; fields that a newer version adds are allowed. */
export function object(description: string, properties: Readonly<Record<string, Schema>>): Schema {
  return { description, type: 'object', properties, required: Object.keys(properties) };
}

export function orNull(schema: Schema): Schema {
  const { description = '', ...rest } = schema;
  if (typeof rest.type === 'string' && rest.type !== 'object')
    return { description, ...rest, type: [rest.type, 'null'] };
  return { description, anyOf: [rest, { type: 'null' }] };
}

/**
 * Where a document breaks a schema, as `path: what is wrong`; empty when it fits. A field that the schema does not
 * name is reported too: what is printed must be described.
 */
export function violations(schema: Schema, value: unknown, path = '$'): string[] {
  if (schema.anyOf !== undefined) {
    const tries = schema.anyOf.map((choice) => violations(choice, value, path));
    return tries.some((found) => found.length === 0) ? [] : (tries.toSorted((a, b) => a.length - b.length)[0] ?? []);
  }
  if ('const' in schema) return value === schema.const ? [] : [`${path}: is not ${JSON.stringify(schema.const)}`];
  if (schema.enum !== undefined)
    return schema.enum.includes(value) ? [] : [`${path}: ${JSON.stringify(value)} is not one of the values`];
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  if (types.length > 0 && !types.some((type) => isType(type, value))) return [`${path}: is not ${types.join(' or ')}`];
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? [] : value.flatMap((item, index) => violations(items, item, `${path}[${index}]`));
  }
  if (schema.properties === undefined || typeof value !== 'object' || value === null) return [];
  const { properties } = schema;
  const fields = value as Readonly<Record<string, unknown>>;
  return [
    ...(schema.required ?? []).filter((name) => !(name in fields)).map((name) => `${path}.${name}: is missing`),
    ...Object.keys(fields)
      .filter((name) => !(name in properties))
      .map((name) => `${path}.${name}: is not described`),
    ...Object.entries(properties).flatMap(([name, field]) =>
      name in fields ? violations(field, fields[name], `${path}.${name}`) : [],
    ),
  ];
}

function isType(type: string, value: unknown): boolean {
  if (type === 'null') return value === null;
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
