/**
 * docs/comparison.md: what rebind and every other tool answered in the same situations, recorded by `npm run situations`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rules } from '../situations/grade.ts';
import type { Job } from '../situations/scene.ts';

interface Recorded {
  readonly machine: string;
  readonly date: string;
  readonly rows: readonly {
    readonly id: string;
    readonly title: string;
    readonly job: Job;
    readonly answers: readonly {
      readonly tool: string;
      readonly grade: string;
      readonly status: number | null;
      readonly output: string;
      readonly harm?: readonly string[];
    }[];
  }[];
}

const headings: Readonly<Record<Job, string>> = {
  explain: 'Asked why the port is in use',
  free: 'Asked to free the port',
  wait: 'Asked to wait, two seconds at most, until the port is free',
  open: 'Asked to wait, two seconds at most, until a server listens',
};

const signs: Readonly<Record<string, string>> = { right: '✓', partly: '◐', wrong: '✗', 'not asked': '–' };

/** The page; a sentence where nothing was recorded yet. */
export function comparisonPage(root: string): string {
  const file = join(root, 'bench/recorded/situations.json');
  const head = '# The same situations, asked of every tool\n\n';
  if (!existsSync(file)) return `${head}Not recorded yet: \`npm run situations -- --record\`.\n`;
  const { machine, date, rows } = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
  const intro = `Each answer comes from a run in namespaces of its own, with \`npm run situations\` (${machine}, ${date}). One set of rules grades all tools. ✓ right, ◐ partly, ✗ wrong, – the tool cannot be asked that.\n`;
  const jobs = (Object.keys(headings) as Job[]).filter((job) => rows.some((row) => row.job === job));
  return [
    head,
    intro,
    ...jobs.map((job) =>
      section(
        job,
        rows.filter((row) => row.job === job),
      ),
    ),
  ]
    .join('')
    .trimEnd()
    .concat('\n');
}

function section(job: Job, rows: Recorded['rows']): string {
  const names = rows[0]?.answers.map(({ tool }) => tool) ?? [];
  const count = (tool: string): string => {
    const asked = rows.flatMap(({ answers }) =>
      answers.filter((each) => each.tool === tool && each.grade !== 'not asked'),
    );
    return `${asked.filter(({ grade }) => grade === 'right').length} of ${asked.length}`;
  };
  const table = [
    `| situation | ${names.join(' | ')} |`,
    `|---|${names.map(() => '---|').join('')}`,
    ...rows.map(
      ({ id, title, answers }) =>
        `| [${title}](#${job}-${id}) | ${answers.map(({ grade }) => signs[grade]).join(' | ')} |`,
    ),
    `| **right** | ${names.map(count).join(' | ')} |`,
  ];
  return `\n## ${headings[job]}\n\n${capital(rules[job])}\n\n${table.join('\n')}\n\n${rows.map((row) => details(job, row)).join('\n')}`;
}

function details(job: Job, { id, title, answers }: Recorded['rows'][number]): string {
  const blocks = answers
    .filter(({ grade }) => grade !== 'not asked')
    .map(({ tool, grade, status, output, harm = [] }) => {
      const said = output.trim() === '' ? '' : `\n\n\`\`\`text\n${output.replaceAll('```', "'''")}\n\`\`\``;
      return `${signs[grade]} **${tool}**, exit status ${status ?? 'none (it was stopped)'}${harm.map((each) => `; ${each}`).join('')}${said}`;
    });
  return `<details><summary id="${job}-${id}">${title}</summary>\n\n${blocks.join('\n\n')}\n\n</details>\n`;
}

function capital(text: string): string {
  return text.replace(/^./, (first) => first.toUpperCase());
}
