/**
 * `npm run fuzz [-- NAME…] [--inputs N] [--seed S] [--from I]`: every parser and every message of every channel, with a million damaged
 * inputs each. NAME is a part of a line of the table in fuzz/parsers.ts. A failure prints how to make its input again.
 */
import { parseArgs } from 'node:util';
import { parsers } from './fuzz/parsers.ts';
import { run } from './fuzz/run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    from: { type: 'string', default: '0' },
  },
});
const [inputs, seed, from] = [values.inputs, values.seed, values.from].map(Number) as [number, number, number];
if (![inputs, seed, from].every((value) => Number.isSafeInteger(value) && value >= 0))
  throw new RangeError('--inputs, --seed and --from take whole numbers');

const chosen = parsers.filter(
  ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
if (chosen.length === 0) throw new RangeError(`No line of the table has ${positionals.join(' or ')} in its name`);

console.log(`seed ${seed}, ${inputs} inputs for each of ${chosen.length} parsers, Node ${process.version}`);
let failures = 0;
for (const parser of chosen) {
  // Before it runs: one that hangs is named.
  process.stdout.write(`${parser.name}: `);
  const began = performance.now();
  const failure = run(parser, { seed, from, inputs });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (failure === null) {
    console.log(`${inputs} inputs in ${seconds} s`);
    continue;
  }
  failures++;
  process.exitCode = 1;
  console.log(`FAILED. ${failure.why}\n  ${failure.input}`);
  console.log(`  again: npm run fuzz -- '${parser.name}' --seed ${seed} --from ${failure.index} --inputs 1`);
}
console.log(failures === 0 ? `${chosen.length * inputs} inputs, no failure` : `${failures} parsers failed`);
