/**
 * `npm run mac`: what rebind knows of macOS from Apple's code, looked at on a real Mac. Prints what was seen beside what was expected, and a
 * document of all of it at the end, without names of people or files. Leaves with 0 when everything is as expected.
 */
import { spawnSync } from 'node:child_process';
import { arch, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { os } from '../src/os/index.ts';
import type { Check } from './mac/check.ts';
import { live } from './mac/live.ts';
import { replay } from './mac/replay.ts';

if (process.platform !== 'darwin') {
  console.error('npm run mac needs a Mac: it looks at what only macOS can show');
  process.exitCode = 4;
} else {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const checks = [...replay(os(), root), ...(await live(os()))];
  const different = checks.filter(({ expected, seen }) => expected !== seen);
  for (const { name, expected, seen } of checks)
    console.log(
      expected === seen ? `ok       ${name}: ${seen}` : `DIFFERS  ${name}: expected ${expected}, seen ${seen}`,
    );
  const version = spawnSync('/usr/bin/sw_vers', ['-productVersion'], { encoding: 'utf8' }).stdout.trim();
  const machine = { macOS: version, darwin: release(), arch: arch(), node: process.version };
  console.log(JSON.stringify({ ...machine, checks: checks.length, different: different satisfies readonly Check[] }));
  process.exitCode = different.length === 0 ? 0 : 1;
}
