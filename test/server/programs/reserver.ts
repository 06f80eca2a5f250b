/** Reserves as many ports as it is asked to, tells them, and holds them until its input ends. */
import { reserve } from '../../../src/index.ts';

const count = Number(process.argv[2]);
const held = [];
for (let i = 0; i < count; i++)
  held.push(await reserve({ host: '127.0.0.1', exclusive: process.argv[3] === 'exclusive' }));
process.stdout.write(`${JSON.stringify(held.map(({ port }) => port))}\n`);
process.stdin.resume().on('end', () => process.exit());
