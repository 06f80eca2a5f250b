/** A project that uses the library type-checks with TypeScript 5.9 and 7. Reads dist/, which `npm test` builds. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const compilers = [
  {
    name: 'TypeScript 7',
    folder: createRequire(import.meta.url)
      .resolve('typescript/package.json')
      .replace('package.json', ''),
  },
  { name: 'TypeScript 5.9', folder: `${root}test/versions/node_modules/typescript5/` },
];

const consumer = `
import http from 'node:http';
import { close, connect, free, getOption, hold, isBlockedPortError, listen, reserve, setOption, wait, why, type Blocker, type Closed, type FreeReport, type HoldOptions, type Report, type ReachVerdict, type Verdict, type WhyEndpoint } from 'rebind';
const server = http.createServer();
const { port, unset } = await listen(server, { port: 3000, busy: 'next', userTimeout: { ms: 5000 } });
const ms: number = getOption(server, 'TCP_USER_TIMEOUT').ms;
const linger: { readonly seconds: number } | null = getOption(server, 'SO_LINGER');
setOption(server, 'SO_REUSEADDR', true);
// @ts-expect-error a time has its unit
setOption(server, 'TCP_USER_TIMEOUT', 5000);
// @ts-expect-error no such option
getOption(server, 'SO_NOTHING');
// @ts-expect-error no such word
await listen(server, { port: 1, busy: 'retry' });
const closed: Closed = await close(server, { graceMs: 10 });
const stop: () => void = close.onSignals([server], { lameDuckMs: 5 });
const closing: boolean = close.isClosing(server);
for await (const socket of connect({ port })) socket.write('x');
const reserved = await reserve();
const sentence: string | undefined = (await why(3000)).verdict?.sentence;
try { await reserved.listen(server); } catch (error) { if (isBlockedPortError(error)) console.log(error.plan[0]?.command); }
// The arguments of a verdict are those of its cause.
const report: Report = await why(3000);
const verdict: Verdict | null = report.verdict;
if (verdict?.cause === 'time-wait') {
  const waitMs: number | null = verdict.args.waitMs;
  const at: readonly string[] = verdict.args.at;
  // @ts-expect-error no argument of this cause
  console.log(waitMs, at, verdict.args.port);
}
for (const other of report.also) if (other.cause === 'privileged-port') other.args.first.toFixed();
// @ts-expect-error no such cause
if (verdict?.cause === 'bad-luck') throw verdict;
const isTimeWait = (cause: Verdict['cause']): boolean => cause === 'time-wait';
const freed: Verdict | null = (await free(3000)).verdict;
const waited: Verdict | ReachVerdict | null = (await wait(3000, { onProgress: (progress) => console.log(progress.verdict?.cause) })).verdict;
// What has no name of its own is reached through what has one.
const pids = (blocker: Blocker): number[] => blocker.holders.map((holder: Blocker['holders'][number]) => holder.pid);
const respawn: FreeReport['respawn'] = null;
// Everything that can be typed for why can be typed for hold.
const endpoints: WhyEndpoint[] = [3000, '127.0.0.1:3000', { port: 3000, host: '::1' }, { port: 53, protocol: 'udp' }, { path: './app.sock' }, report.endpoint];
const options: HoldOptions = { endpoints, command: ['node', 'server.js'] };
for (const endpoint of endpoints) await why(endpoint, { holders: 'all' });
(await hold(options)).on('ready', ({ afterMs }) => afterMs.toFixed());
// What Node's own listen takes.
await listen(server);
await listen(server, null);
await listen(server, 3000);
await listen(server, '127.0.0.1:3000');
await listen(server, { port: process.env['PORT'], host: undefined, backlog: 0, ipv6Only: true });
await listen(server, { port: null, exclusive: true });
await listen(server, { path: './app.sock', readableAll: true, writableAll: true, backlog: '511' });
await listen(server, { fd: 3 });
// @ts-expect-error a port is a number or a text
await listen(server, { port: true });
connect(3000);
connect('localhost:3000', { deadlineMs: 1000 });
connect({ path: './app.sock' });
connect({ port: '3000', tls: true });
// @ts-expect-error where to connect stands in the target
connect(3000, { host: 'localhost' });
export { freed, isTimeWait, pids, respawn, waited };
export { closed, closing, linger, ms, sentence, stop, unset };
`;

for (const { name, folder } of compilers) {
  const skip = existsSync(folder) ? false : `${name} is not installed: npm ci --prefix test/versions`;
  test(`a program that uses everything type-checks with ${name}`, { skip }, () => {
    const project = fileURLToPath(new URL(`../consumer-${name.replace(/\W/g, '-')}/`, import.meta.url));
    rmSync(project, { recursive: true, force: true });
    mkdirSync(`${project}node_modules`, { recursive: true });
    symlinkSync(root, `${project}node_modules/rebind`);
    writeFileSync(`${project}package.json`, '{ "type": "module" }');
    writeFileSync(`${project}program.ts`, consumer);
    const compilerOptions = {
      target: 'es2022',
      declaration: true,
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    writeFileSync(`${project}tsconfig.json`, JSON.stringify({ compilerOptions, include: ['program.ts'] }));
    const { status, stdout } = spawnSync(process.execPath, [`${folder}bin/tsc`, '-p', project], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });
}
