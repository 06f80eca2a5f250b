/**
 * The texts in a TypeScript file: string and template literals without comments and patterns. What is inserted into a template is `{}`.
 */

/** Literals in the order in which they stand. */
export function literalsOf(source: string): string[] {
  const found: string[] = [];
  scan(source, 0, false, found);
  return found;
}

/** A slash after one of these begins a pattern and is no division. */
const beforePattern = /(^|[=(,[:!&|?{};+\n]|=>|\breturn|\bof|\bin)\s*$/;

/** Scans from `at`; inside of a template's `${` up to its closing brace, whose index is returned. */
function scan(source: string, at: number, inside: boolean, found: string[]): number {
  let depth = 0;
  for (let i = at; i < source.length; i++) {
    const char = source[i];
    if (char === '/' && source[i + 1] === '/') i = endOf(source, '\n', i) - 1;
    else if (char === '/' && source[i + 1] === '*') i = endOf(source, '*/', i) + 1;
    else if (char === '/' && beforePattern.test(source.slice(Math.max(0, i - 20), i))) i = patternEnd(source, i);
    else if (char === "'" || char === '"') i = string(source, i, char, found);
    else if (char === '`') i = template(source, i, found);
    else if (char === '{') depth++;
    else if (char === '}') {
      if (inside && depth === 0) return i;
      depth--;
    }
  }
  return source.length;
}

function endOf(source: string, mark: string, from: number): number {
  const end = source.indexOf(mark, from + 2);
  return end < 0 ? source.length : end;
}

function patternEnd(source: string, from: number): number {
  let isClass = false;
  for (let i = from + 1; i < source.length; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === '[') isClass = true;
    else if (source[i] === ']') isClass = false;
    else if ((source[i] === '/' && !isClass) || source[i] === '\n') return i;
  }
  return source.length;
}

function string(source: string, from: number, quote: string, found: string[]): number {
  let text = '';
  for (let i = from + 1; i < source.length; i++) {
    if (source[i] === '\\') text += source[++i] === 'n' ? ' ' : (source[i] ?? '');
    else if (source[i] === quote || source[i] === '\n') {
      found.push(text);
      return i;
    } else text += source[i];
  }
  return source.length;
}

function template(source: string, from: number, found: string[]): number {
  let text = '';
  const at = found.length;
  for (let i = from + 1; i < source.length; i++) {
    if (source[i] === '\\') text += source[++i] === 'n' ? ' ' : (source[i] ?? '');
    else if (source[i] === '`') {
      found.splice(at, 0, text);
      return i;
    } else if (source[i] === '$' && source[i + 1] === '{') {
      text += '{}';
      i = scan(source, i + 2, true, found);
    } else text += source[i];
  }
  return source.length;
}
