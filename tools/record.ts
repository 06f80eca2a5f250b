/**
 * `npm run record`: stages every cause for real and writes down what the command answers, for the pages in docs/causes/.
 * Run it as root after a change of what the command prints; a cause that cannot be staged here keeps its earlier record.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { registry } from './docs/causes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, 'tools/docs/recorded');

mkdirSync(folder, { recursive: true });
for (const { id } of registry.filter(({ stages }) => stages.length > 0)) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/rebind.cjs'), 'demo', id], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1', LANG: 'C.UTF-8' },
  });
  const answer = /^(?:\$ rebind|> await) why[\s\S]*?(?=\n\n(?:The demo has stopped|The answer names))/m.exec(
    stdout,
  )?.[0];
  if (status !== 0 || answer === undefined) {
    console.error(`${id}: not recorded. ${stderr.trim()}`);
    process.exitCode = 1;
    continue;
  }
  // Where the checkout lies says nothing about the cause.
  writeFileSync(
    join(folder, `${id}.txt`),
    `${answer.trimEnd().replaceAll(root, '/home/ann/rebind/').replaceAll(root.slice(0, -1), '/home/ann/rebind')}\n`,
  );
  console.log(id);
}
