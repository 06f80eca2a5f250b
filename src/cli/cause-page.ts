/**
 * The page of a cause for a terminal. Its text is Markdown without headings: paragraphs, lists, and code.
 */
import type { Page } from '../causes/cause.ts';
import type { Canvas } from './io.ts';
import { pasted } from './pasted.ts';
import { wrap } from './text.ts';

/** `trial` adds how to bring it about, which a demo that is doing just that leaves out. */
export function causePageText(
  cause: { readonly id: string; readonly title: string; readonly page: Page },
  canvas: Canvas,
  trial = true,
): string {
  const sections: readonly (readonly [string, string])[] = [
    ['What you see', cause.page.see],
    ['Why it happens', cause.page.why],
    ['What to do now', cause.page.now],
    ['How to prevent it', cause.page.prevent],
    ...(trial ? ([['Try it', pasted(`rebind demo ${cause.id}`, canvas)]] as const) : []),
  ];
  const lines = [canvas.paint('strong', cause.title)];
  for (const [heading, markdown] of sections) {
    lines.push(
      '',
      canvas.paint('strong', heading),
      ...markdownLines(markdown, canvas).map((line) => `  ${line}`.trimEnd()),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Paragraphs are wrapped; lists keep their indentation; fenced code stays as it is. */
export function markdownLines(markdown: string, canvas: Canvas): string[] {
  const width = canvas.width - 2;
  const lines: string[] = [];
  let paragraph = '';
  let fenced = false;
  const flush = () => {
    if (paragraph === '') return;
    const [, bullet = ''] = /^([-*] |\d+\. )/.exec(paragraph) ?? [];
    const [first = '', ...more] = wrap(plain(paragraph), width - bullet.length);
    lines.push(first, ...more.map((line) => ' '.repeat(bullet.length) + line));
    paragraph = '';
  };
  for (const line of markdown.trim().split('\n')) {
    const text = line.trim();
    if (text.startsWith('```')) {
      flush();
      fenced = !fenced;
    } else if (fenced) lines.push(canvas.paint('strong', `  ${line}`));
    else if (text === '') {
      flush();
      lines.push('');
    } else if (/^([-*]|\d+\.) /.test(text)) {
      flush();
      paragraph = text;
    } else paragraph = paragraph === '' ? text : `${paragraph} ${text}`;
  }
  flush();
  return lines;
}

/** Code marks go; links keep their text and lose their address. */
function plain(text: string): string {
  return text
    .replace(/`([^`]*)`/g, '$1')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\*\*([^*]*)\*\*/g, '$1');
}
