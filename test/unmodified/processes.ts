import { again, type Program } from './program.ts';

const inChild = (parent: string, child: string): string =>
  `const { fork, spawn, spawnSync, exec, execFile } = require('child_process'); if (process.argv[2] !== 'child') { ${parent} } else { ${child} }`;
const inWorker = (main: string, worker: string): string =>
  `const { Worker, isMainThread, parentPort, threadId } = require('worker_threads'); if (isMainThread) { ${main} } else { ${worker} }`;
const fork =
  "const child = fork(__filename, ['child']); setTimeout(() => { log('late'); child.kill('SIGKILL'); process.exit(1); }, 8000).unref();";

const monitor = 'hold hears of the error that ends a program';

const children: Program[] = [
  {
    name: 'child: a server is sent to it',
    always: true,
    source: inChild(
      `${fork} const server = require('net').createServer(); server.listen(P, () => { child.send('server', server, (error) => { if (error) log(error.code); }); child.on('message', async () => { server.close(); log(await tcp(P)); child.kill(); process.exit(); }); });`,
      `process.on('message', (message, server) => { server.on('connection', (socket) => socket.end('from the child')); process.send('up'); });`,
    ),
  },
  {
    name: 'child: a server with listeners is sent to it',
    source: inChild(
      `${fork} const server = require('net').createServer((socket) => socket.end('x')); server.listen(P, () => { child.send('server', server); child.on('message', async (message) => { log(message, (await tcp(P)) === 'x'); child.kill(); process.exit(); }); });`,
      `process.on('message', (message, server) => { server.on('connection', (socket) => socket.end('x')); process.send(server.address().port === P); });`,
    ),
  },
  {
    name: 'child: a connection is sent to it',
    always: true,
    source: inChild(
      `${fork} const server = require('net').createServer({ pauseOnConnect: true }, (socket) => child.send('socket', socket)); server.listen(P, async () => { log(await tcp(P)); child.kill(); server.close(() => log('closed')); });`,
      `process.on('message', (message, socket) => socket.end('from the child'));`,
    ),
  },
  {
    name: 'child: a connection is sent and kept count of',
    source: inChild(
      `${fork} const server = require('net').createServer((socket) => child.send('socket', socket, { keepOpen: false })); server.listen(P, async () => { log(await tcp(P)); const look = () => server.getConnections((error, count) => { if (count > 0) return setTimeout(look, 10); log(error, count); child.kill(); process.exit(); }); look(); });`,
      `process.on('message', (message, socket) => { if (socket) socket.end('x'); });`,
    ),
  },
  {
    name: 'child: a UDP socket is sent to it',
    source: inChild(
      `${fork} const socket = require('dgram').createSocket('udp4').on('message', (text) => { log(String(text)); child.kill(); process.exit(); }).bind(P, () => { child.send('socket', socket); child.on('message', (message) => { if (message === 'up') require('dgram').createSocket('udp4').send('x', P, '127.0.0.1'); else { log(message); child.kill(); process.exit(); } }); });`,
      `process.on('message', (message, socket) => { socket.on('message', (text) => process.send(String(text))); process.send('up'); });`,
    ),
    endpoint: (port) => `udp/${port}`,
  },
  {
    name: 'child: the descriptor of a server is passed by number',
    source: inChild(
      `const server = require('net').createServer(() => {}).listen(P, () => { const child = spawn(process.execPath, [__filename, 'child'], { stdio: ['ignore', 'inherit', 'inherit', server._handle.fd, 'ipc'] }); child.on('message', async () => { server.close(); log(await tcp(P)); child.kill(); process.exit(); }); });`,
      `const server = require('net').createServer((socket) => socket.end('by number')); server.listen({ fd: 3 }, () => process.send(server.address().port));`,
    ),
  },
  {
    name: 'child: it wants the port of its parent',
    always: true,
    source: inChild(
      `require('http').createServer(() => {}).listen(P, () => { ${fork} child.on('message', (message) => { log(message); child.kill(); process.exit(); }); });`,
      `const server = require('http').createServer(() => {}); server.on('error', (error) => process.send(error.code)); server.listen(P, () => process.send('up'));`,
    ),
  },
  {
    name: 'child: it was started before its parent listens',
    source: inChild(
      `${fork} child.on('message', (message) => { log(message); child.kill(); process.exit(); }); setTimeout(() => { const server = require('http').createServer(() => {}); server.on('error', (error) => log(error.code)); server.listen(P, () => { log('parent up'); child.send('go'); }); }, 200);`,
      `process.on('message', () => { const server = require('http').createServer(() => {}); server.on('error', (error) => process.send(error.code)); server.listen(P, () => process.send('child up')); });`,
    ),
  },
  {
    name: 'child: two of them want one port',
    source: inChild(
      `const lines = []; for (const one of [1, 2]) fork(__filename, ['child']).on('message', (message) => { lines.push(message); if (lines.length === 2) { log(lines.sort().join()); process.exit(); } });`,
      `const server = require('http').createServer(() => {}); server.on('error', (error) => process.send(error.code)); server.listen(P, () => process.send('up')); process.on('disconnect', () => process.exit());`,
    ),
  },
  {
    name: 'child: many of them, each with a server of its own on port 0',
    source: inChild(
      `let left = 12; const answers = new Set(); for (let number = left; number > 0; number--) { const child = fork(__filename, ['child']); child.on('message', (message) => { answers.add(message); child.kill(); }); child.on('exit', () => { if (--left === 0) log([...answers].join()); }); }`,
      `const server = require('net').createServer((socket) => socket.end(String(process.pid))); server.listen(0, '127.0.0.1', async () => process.send((await tcp(server.address().port)) === String(process.pid) ? 'its own' : 'of another one'));`,
    ),
  },
  {
    name: 'child: it serves while its parent does not',
    source: inChild(
      `${fork} child.on('message', async (message) => { log(message, await get(P)); child.kill(); process.exit(); });`,
      `require('http').createServer((request, response) => response.end('child')).listen(P, () => process.send('up'));`,
    ),
  },
  {
    name: 'child: stdio is what was asked for',
    always: true,
    source: `const { spawn } = require('child_process'); for (const stdio of [undefined, 'pipe', 'ignore', 'inherit', ['pipe', 'ignore'], ['pipe', 'pipe', 'pipe', 'ipc', 'pipe'], [0, 1, 2, 'pipe']]) { const child = spawn(process.execPath, ['-e', ''], { stdio }); log(stdio ?? null, child.stdio.length, child.stdio.map((one) => (one === null ? 'null' : typeof one)).join(), child.spawnargs.length, Object.keys(child).sort().join()); }`,
  },
  {
    name: 'child: stdio that is refused',
    source: `const { spawn } = require('child_process'); for (const stdio of ['nonsense', ['pipe', 'nonsense'], 5, ['pipe', {}]]) { try { spawn(process.execPath, ['-e', ''], { stdio }); log('no throw'); } catch (error) { log(error.code, error.message); } }`,
  },
  {
    name: 'child: a program that does not exist',
    source: `const { spawn } = require('child_process'); spawn('no-such-program').on('error', (error) => log(error.code, error.syscall, error.spawnargs));`,
  },
  {
    name: 'child: options of spawn that are refused',
    source: `const { spawn } = require('child_process'); for (const options of [{ cwd: 5 }, { detached: 'x' }, { uid: 'x' }, { env: null }, { serialization: 'x' }]) { try { spawn('true', [], options).on('error', (error) => log(error.code)); log('no throw'); } catch (error) { log(error.code); } }`,
  },
  {
    name: 'child: exit statuses and signals',
    source: inChild(
      `for (const how of ['0', '3', 'SIGTERM', 'SIGKILL']) { const { status, signal } = spawnSync(process.execPath, [__filename, 'child', how]); log(how, status, signal); }`,
      `const how = process.argv[3]; if (how.startsWith('SIG')) { process.kill(process.pid, how); setTimeout(() => {}, 1000); } else process.exit(+how);`,
    ),
  },
  {
    name: 'child: exec, execFile and spawnSync',
    source: `const { exec, execFile, spawnSync, execSync } = require('child_process'); exec('echo one', (error, out) => log(error, out)); execFile(process.execPath, ['-p', '1 + 1'], (error, out) => log(error, out)); log(String(execSync('echo two')), String(spawnSync('cat', { input: 'three' }).stdout));`,
  },
  {
    name: 'child: messages of both serializations',
    source: inChild(
      `const go = (serialization, then) => { const child = fork(__filename, ['child'], { serialization }); child.on('message', (message) => { log(serialization, message); child.disconnect(); }); child.on('exit', then); child.send({ a: [1, { b: 2 }] }); }; go('json', () => go('advanced', () => {}));`,
      `process.on('message', (message) => process.send(message));`,
    ),
  },
  {
    name: 'child: a message that is sent at once',
    always: true,
    source: inChild(
      `${fork} child.send('hello'); child.on('message', (message) => { log(message); child.kill(); process.exit(); });`,
      `process.on('message', (message) => process.send(message));`,
    ),
  },
  {
    name: 'child: detached',
    source: inChild(
      `const child = spawn(process.execPath, [__filename, 'child'], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] }); let text = ''; child.stdout.on('data', (data) => { text += data; }); child.on('close', (status) => log(text.split('\\n')[0], 'exit', status));`,
      `console.log('detached', process.pid === require('os').userInfo().pid); process.exit(4);`,
    ),
  },
  {
    name: 'child: abort',
    source: `const control = new AbortController(); const child = require('child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 5000)'], { signal: control.signal }); child.on('error', (error) => log(error.name, error.code)); child.on('exit', (status, signal) => log(status, signal)); control.abort();`,
  },
];

const threads: Program[] = [
  {
    name: 'worker thread: a server',
    always: true,
    source: inWorker(
      `const worker = new Worker(__filename); worker.on('message', async (message) => { log(message, await get(P)); process.exit(); });`,
      `const server = require('http').createServer((request, response) => response.end('thread')); server.on('error', (error) => parentPort.postMessage(error.code)); server.listen(P, () => parentPort.postMessage('up'));`,
    ),
  },
  {
    name: 'worker thread: two of them want one port',
    source: inWorker(
      `const lines = []; for (const one of [1, 2]) new Worker(__filename).on('message', async (message) => { lines.push(message); if (lines.length === 2) { log(lines.sort().join(), await get(P)); process.exit(); } });`,
      `const server = require('http').createServer((request, response) => response.end('thread')); server.on('error', (error) => parentPort.postMessage(error.code)); server.listen(P, () => parentPort.postMessage('up'));`,
    ),
  },
  {
    name: 'worker thread: the main thread has the port',
    source: inWorker(
      `require('http').createServer(() => {}).listen(P, () => new Worker(__filename).on('message', (message) => { log(message); process.exit(); }));`,
      `const server = require('http').createServer(() => {}); server.on('error', (error) => parentPort.postMessage([error.code, error.message.split('\\n')[0].replace(/\\d+$/, '')])); server.listen(P, () => parentPort.postMessage('up'));`,
    ),
  },
  {
    name: 'worker thread: it ends, and another one listens',
    source: inWorker(
      `let round = 0; const go = () => { const worker = new Worker(__filename); worker.on('message', async (message) => { log(message, await get(P)); await worker.terminate(); if (++round < 3) go(); else process.exit(); }); }; go();`,
      `require('http').createServer((request, response) => response.end('x')).listen(P, () => parentPort.postMessage('up')).on('error', (error) => parentPort.postMessage(error.code));`,
    ),
  },
  {
    name: 'worker thread: an error that nobody handles',
    source: inWorker(
      `new Worker(__filename).on('error', (error) => log(error.code, error.message.split('\\n')[0].replace(/\\d+$/, ''), error instanceof Error)).on('exit', (status) => log('exit', status));`,
      `const make = () => require('net').createServer(() => {}); make().listen(P, () => make().listen(P));`,
    ),
  },
  {
    name: 'worker thread: its state',
    source: inWorker(
      `const worker = new Worker(__filename, { env: { A: '1' }, argv: ['x'], stdout: true }); worker.stdout.on('data', (data) => log(String(data).split('\\n')[0])); worker.on('exit', (status) => log(status));`,
      `console.log(JSON.stringify([Object.keys(process.env), process.argv.length, process.execArgv, threadId, process.eventNames().map(String)])); process.removeAllListeners('exit');`,
    ),
  },
  {
    name: 'worker thread: udp',
    endpoint: (port) => `udp/${port}`,
    source: inWorker(
      `new Worker(__filename).on('message', (message) => { log(message); if (message === 'up') require('dgram').createSocket('udp4').send('x', P, '127.0.0.1'); else process.exit(); });`,
      `const socket = require('dgram').createSocket('udp4'); socket.on('message', (message) => parentPort.postMessage(String(message))); socket.bind(P, () => parentPort.postMessage('up'));`,
    ),
  },
];

const es = (rest: string): string => `import http from 'node:http'; ${rest}`;
const starts: Program[] = [
  {
    name: 'module.parent, require.main and main',
    always: true,
    source: `log(module.parent === null, require.main === module, module.children.length, module.paths.length > 0, __filename.endsWith('.cjs'), Object.keys(require.cache).length);`,
  },
  {
    name: 'an ES module serves',
    always: true,
    as: 'mjs',
    source: es(
      `const server = http.createServer((request, response) => response.end('esm')); server.listen(P, async () => { log(await get(P), import.meta.url.endsWith('.mjs')); process.exit(); });`,
    ),
  },
  {
    name: 'an ES module with top-level await',
    as: 'mjs',
    source: es(
      `const server = http.createServer((request, response) => response.end('esm')); await new Promise((done) => server.listen(P, done)); log(await get(P)); server.close();`,
    ),
  },
  {
    name: 'an ES module whose port is taken',
    as: 'mjs',
    source: es(
      `const make = () => http.createServer(() => {}); await new Promise((done) => make().listen(P, done)); make().listen(P);`,
    ),
  },
  { name: 'an ES module that rejects', as: 'mjs', source: `await Promise.reject(new RangeError('of the program'));` },
  {
    name: 'an unknown extension',
    always: true,
    as: 'es6',
    source: `require('http').createServer(() => {}).listen(P, () => { log('es6'); process.exit(); });`,
  },
  {
    name: 'order of ticks and microtasks at the start',
    always: true,
    source: `const order = []; Promise.resolve().then(() => order.push('micro')); process.nextTick(() => order.push('tick')); queueMicrotask(() => order.push('queued')); setImmediate(() => { log(order.join()); });`,
  },
  {
    name: 'order of ticks and microtasks at the start of a module',
    as: 'mjs',
    source: `const order = []; Promise.resolve().then(() => order.push('micro')); process.nextTick(() => order.push('tick')); setImmediate(() => { log(order.join()); });`,
  },
  {
    name: 'TypeScript by Node itself',
    as: 'ts',
    since: 24,
    source: `import http from 'node:http'; const port: number = P; const server = http.createServer((request, response) => { response.end('ts'); }); server.listen(port, async () => { log(await get(port)); process.exit(); });`,
  },
  {
    name: 'TypeScript by tsx',
    as: 'ts',
    command: (node, root) => [node, `${root}node_modules/tsx/dist/cli.mjs`],
    source: `import http from 'node:http'; enum Kind { One = 'one' } const server = http.createServer((request, response) => { response.end(Kind.One); }); server.listen(P, async () => { log(await get(P)); process.exit(); });`,
  },
  {
    name: 'node --test',
    as: 'test.cjs',
    always: true,
    command: (node) => [node, '--test', '--test-reporter=tap'],
    source: `const test = require('node:test'), assert = require('assert'); for (const one of [1, 2, 3]) test('round ' + one, async () => { const server = require('http').createServer((request, response) => response.end('ok')); await new Promise((done, no) => { server.on('error', no); server.listen(P, done); }); assert.equal(await get(P), '200 ok'); server.closeAllConnections(); await new Promise((done) => server.close(done)); });`,
  },
  {
    name: 'node --test: a port that is taken',
    as: 'test.cjs',
    command: (node) => [node, '--test', '--test-reporter=tap'],
    source: `const test = require('node:test'); const make = () => require('http').createServer(() => {}); test('taken', (context, done) => { make().listen(R, () => make().on('error', (error) => { console.log(error.code); process.exit(1); }).listen(R)); });`,
  },
  {
    name: 'node --watch',
    except: again,
    command: (node) => [node, '--watch'],
    source: `require('http').createServer((request, response) => response.end('x')).listen(P, async () => { log(await get(P)); process.kill(process.ppid, 'SIGKILL'); process.exit(); });`,
  },
  {
    name: 'node --eval',
    command: (node) => [
      node,
      '-e',
      "require('http').createServer((request, response) => response.end('x')).listen(+process.env.P, function () { console.log('eval', this.address().port === +process.env.P, module.paths.length > 0); process.exit(); })",
    ],
    source: '',
  },
  {
    name: 'node --print',
    command: (node) => [node, '-p', '[process.execArgv.length, process.argv.length, process.eventNames().length]'],
    source: '',
  },
  {
    name: 'a program from stdin',
    command: () => [
      '/bin/sh',
      '-c',
      'echo "console.log(typeof module, process.argv.length)" | "$0" -',
      process.execPath,
    ],
    source: '',
  },
  {
    name: 'process.execve',
    since: 24,
    source: `if (process.env.AGAIN) require('http').createServer((request, response) => response.end('again')).listen(P, async () => { log(await get(P)); process.exit(); }); else require('http').createServer(() => {}).listen(P, () => { log('first'); process.execve(process.execPath, [process.execPath, __filename], { ...process.env, AGAIN: '1' }); });`,
  },
  {
    name: 'process.execArgv, title and argv',
    command: (node) => [node, '--no-warnings', '--stack-trace-limit=20'],
    source: `process.title = 'my-server'; log(process.execArgv.join(), process.argv.length, process.argv0, process.title, process.exitCode ?? null, process.execPath.length > 0, Object.keys(process.features ?? {}).length > 0, process.allowedNodeEnvironmentFlags.size > 0);`,
  },
  {
    name: 'the environment',
    source: `const documented = /^(REBIND_.*|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|NODE_OPTIONS|_|PWD|OLDPWD|SHLVL)$/; log(Object.keys(process.env).filter((name) => !documented.test(name)).sort().join());`,
  },
  {
    name: 'process.report and resource usage',
    source: `log(Object.keys(process.report).length, Object.keys(process.resourceUsage()).length, Object.keys(process.memoryUsage()).join(), process.constrainedMemory() > 0, process.umask().toString(8), process.cwd() === __dirname);`,
  },
  {
    name: 'warnings',
    source: `process.emitWarning('of the program', { code: 'OWN', detail: 'more' }); process.on('warning', (warning) => log(warning.name, warning.code));`,
  },
  {
    name: 'pending deprecations',
    command: (node) => [node, '--pending-deprecation'],
    source: `require('http').createServer((request, response) => response.end('x')).listen(P, async () => { log(await get(P)); process.exit(); });`,
  },
  {
    name: 'frozen intrinsics',
    command: (node) => [node, '--frozen-intrinsics'],
    source: `require('http').createServer((request, response) => response.end('x')).listen(P, () => { log('listening'); process.exit(); });`,
  },
  {
    name: 'no addons, and a throwing __proto__',
    command: (node) => [node, '--disable-proto=throw', '--no-addons'],
    source: `require('http').createServer((request, response) => response.end('x')).listen(P, () => { log('listening'); process.exit(); });`,
  },
  {
    name: 'a signal that ends it',
    always: true,
    source: `require('http').createServer(() => {}).listen(P, () => process.kill(process.pid, 'SIGKILL'));`,
  },
  {
    name: 'a signal that is handled',
    except: again,
    source: `process.on('SIGTERM', () => { log('SIGTERM'); process.exit(5); }); require('http').createServer(() => {}).listen(P, () => process.kill(process.pid, 'SIGTERM'));`,
  },
  {
    name: 'process.abort',
    source: `require('http').createServer(() => {}).listen(P, () => { process.setSourceMapsEnabled?.(true); process.exitCode = 7; process.exit(); });`,
  },
  {
    name: 'an uncaught exception',
    always: true,
    source: `require('http').createServer(() => {}).listen(P, () => { throw new TypeError('of the program'); });`,
  },
  {
    name: 'an uncaught exception that is handled, and monitored',
    except: { 'own port': monitor, 'another port': monitor, 'learned port': monitor },
    source: `process.on('uncaughtExceptionMonitor', (error, origin) => log('monitor', error.message, origin)); process.on('uncaughtException', (error) => { log('handled', error.message, process.listenerCount('uncaughtExceptionMonitor') > 0); process.exit(6); }); setTimeout(() => { throw new Error('of the program'); }, 10);`,
  },
  {
    name: 'an unhandled rejection',
    source: `require('http').createServer(() => {}).listen(P, () => Promise.reject(new Error('of the program')));`,
  },
  {
    name: 'the capture callback',
    source: `process.setUncaughtExceptionCaptureCallback((error) => { log('captured', error.message); process.exit(8); }); setTimeout(() => { throw new Error('of the program'); }, 10);`,
  },
  {
    name: 'domains',
    source: `const domain = require('domain').create(); domain.on('error', (error) => { log(error.code); process.exit(); }); domain.run(() => { const make = () => require('net').createServer(() => {}); make().listen(P, () => make().listen(P)); });`,
  },
  {
    name: 'beforeExit and exit',
    source: `let times = 0; process.on('beforeExit', () => { log('beforeExit', ++times); if (times < 2) setTimeout(() => {}, 10); });`,
  },
  { name: 'nothing at all', source: '' },
  { name: 'a syntax error', source: `this is no JavaScript;` },
  {
    name: 'require of a JSON file and of a missing one',
    source: `require('fs').writeFileSync('a.json', '{"a":1}'); log(require('./a.json')); require('./missing.js');`,
  },
  {
    name: 'readline on stdin that ends',
    source: `require('readline').createInterface({ input: process.stdin }).on('line', (line) => log(line)).on('close', () => log('end'));`,
  },
  {
    name: 'stdout that is a pipe',
    source: `log(process.stdout.isTTY ?? null, process.stdout.constructor.name, process.stdout.writableHighWaterMark, process.stderr.constructor.name); process.stdout.write('x'.repeat(100000) + '\\n');`,
  },
  {
    name: 'AsyncLocalStorage through a server',
    source: `const { AsyncLocalStorage } = require('async_hooks'); const store = new AsyncLocalStorage(); const server = store.run('made', () => require('http').createServer((request, response) => response.end(String(store.getStore())))); store.run('listen', () => server.listen(P, async () => { log(store.getStore(), await get(P)); process.exit(); }));`,
  },
  {
    name: 'performance hooks',
    source: `const { PerformanceObserver, performance } = require('perf_hooks'); new PerformanceObserver((list) => { log(list.getEntries().map((one) => one.entryType).join()); process.exit(); }).observe({ entryTypes: ['http'] }); require('http').createServer((request, response) => response.end('x')).listen(P, () => get(P));`,
  },
];

const root = (source: string): string =>
  `const { createRequire } = require('module'); const load = createRequire(process.env.ROOT + '/package.json'); ${source}`;
const taken = "require('net').createServer(() => {}).listen(R, () =>";
const frameworks: Program[] = [
  {
    name: 'express serves',
    always: true,
    source: root(
      `const app = load('express')(); app.get('/', (request, response) => response.send('express')); const server = app.listen(P, async (error) => { log(error ?? null, await get(P)); counts(server); process.exit(); });`,
    ),
  },
  {
    name: 'express hands the error to its callback',
    source: root(
      `${taken} { const app = load('express')(); app.listen(R, (error) => { log(error?.code ?? null); process.exit(2); }); });`,
    ),
  },
  {
    name: 'fastify serves on localhost',
    source: root(
      `const app = load('fastify')(); app.get('/', () => 'fastify'); app.listen({ port: P }).then(async (at) => { log(at, app.addresses().map((one) => one.address).sort().join()); for (const host of ['127.0.0.1', '::1']) log(host, await get(P, { host })); await app.close(); });`,
    ),
  },
  {
    name: 'fastify serves on one address',
    source: root(
      `const app = load('fastify')(); app.get('/', () => 'fastify'); app.listen({ port: P, host: '127.0.0.1' }).then(async (at) => { log(at, await get(P)); process.exit(); });`,
    ),
  },
  {
    name: 'fastify rejects',
    source: root(
      `${taken} { const app = load('fastify')(); app.listen({ port: R, host: '::' }).catch((error) => { fail(error); process.exit(2); }); });`,
    ),
  },
  {
    name: 'koa serves',
    source: root(
      `const Koa = load('koa'); const app = new (Koa.default ?? Koa)(); app.use((context) => { context.body = 'koa'; }); app.listen(P, async () => { log(await get(P)); process.exit(); });`,
    ),
  },
  {
    name: 'hono serves',
    source: root(
      `const { Hono } = load('hono'); const { serve } = load('@hono/node-server'); const app = new Hono(); app.get('/', (context) => context.text('hono')); const server = serve({ fetch: app.fetch, port: P }, async (at) => { log(at.address, at.port === P, await get(P)); process.exit(); });`,
    ),
  },
  {
    name: 'ws serves',
    source: root(
      `const { WebSocketServer, WebSocket } = load('ws'); const server = new WebSocketServer({ port: P }, () => { const client = new WebSocket('ws://127.0.0.1:' + P); client.on('message', (data) => { log(String(data)); process.exit(); }); }); server.on('connection', (socket) => socket.send('ws'));`,
    ),
  },
  {
    name: 'ws whose port is taken',
    source: root(
      `${taken} { const { WebSocketServer } = load('ws'); new WebSocketServer({ port: R }).on('error', (error) => { fail(error); process.exit(2); }); });`,
    ),
  },
  {
    name: 'socket.io serves',
    source: root(
      `const { Server } = load('socket.io'); const http = require('http').createServer(); const io = new Server(http); io.engine.on('initial_headers', () => log('headers')); http.listen(P, async () => { log((await get(P, { path: '/socket.io/?EIO=4&transport=polling' })).slice(0, 5)); counts(http); process.exit(); });`,
    ),
  },
  {
    name: 'vite serves',
    source: root(
      `import(load.resolve('vite')).then(async ({ createServer }) => { const server = await createServer({ root: __dirname, configFile: false, logLevel: 'silent', server: { port: P, host: '127.0.0.1', strictPort: true, ws: false, watch: null }, optimizeDeps: { noDiscovery: true } }); await server.listen(); log(server.httpServer.address().port === P, server.resolvedUrls.local.length); await server.close(); process.exit(); });`,
    ),
  },
  {
    name: 'vite looks for another port',
    source: root(
      `${taken} { import(load.resolve('vite')).then(async ({ createServer }) => { const server = await createServer({ root: __dirname, configFile: false, logLevel: 'silent', server: { port: R, ws: false, watch: null }, optimizeDeps: { noDiscovery: true } }); await server.listen(); log(server.httpServer.address().port - R); process.exit(); }); });`,
    ),
  },
];

export const processes: Program[] = [...children, ...threads, ...starts, ...frameworks];
