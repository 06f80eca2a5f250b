/**
 * Prints the facts of one endpoint as JSON, for tests that look from another user or namespace.
 * `node print-facts.js ADDRESS PORT [likely|all|settings]`
 */
import { linux } from '../../../src/os/linux/index.ts';

const [, , address = '', port = '', what = 'likely'] = process.argv;
const options = { reuseAddress: true, reusePort: false, v6Only: false, device: null };
const endpoint = { protocol: 'tcp', address, port: Number(port) } as const;
const answer =
  what === 'settings'
    ? linux.readSettings()
    : linux.readFacts({ endpoint, options }, { holders: what === 'all' ? 'all' : 'likely' });
process.stdout.write(JSON.stringify(answer, (_, value) => (value instanceof Map ? [...value] : value)));
