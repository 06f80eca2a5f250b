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
import { close, connect, getOption, isBlockedPortError, listen, reserve, setOption, why, type Closed } from 'rebind';
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
