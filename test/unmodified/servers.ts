import { again, each, type Program } from './program.ts';

const forms = {
  'a port': 'P',
  'a port and 127.0.0.1': "P, '127.0.0.1'",
  'a port and ::1': "P, '::1'",
  'a port and 0.0.0.0': "P, '0.0.0.0'",
  'a port and ::': "P, '::'",
  'a port and localhost': "P, 'localhost'",
  'a port, a host and a backlog': "P, '127.0.0.1', 5",
  options: '{ port: P }',
  'options with a host': "{ port: P, host: '127.0.0.1' }",
  'a port as text': 'String(P)',
  'options with a port as text': '{ port: String(P) }',
  'a backlog of one': '{ port: P, backlog: 1 }',
  exclusive: '{ port: P, exclusive: true }',
  'IPv6 only': '{ port: P, ipv6Only: true }',
  ':: and IPv6 only': "{ port: P, host: '::', ipv6Only: true }",
  reusePort: '{ port: P, reusePort: true }',
  'port 0': '0',
  nothing: '',
  undefined: 'undefined',
  null: 'null',
  'a port that is undefined': '{ port: undefined }',
  'a port that is null': '{ port: null }',
  'an empty host': "{ port: P, host: '' }",
  'another port': 'Q',
  'a path': "'./s.sock'",
  'a path in options': "{ path: './s.sock' }",
  'a path that everybody may use': "{ path: './s.sock', readableAll: true, writableAll: true }",
  'an abstract name': "'\\0unmodified-' + P",
  'a path and a port': "{ port: P, path: './s.sock' }",
};

const refused = {
  'a port that is too large': '65536',
  'a negative port': '-1',
  'a fraction': '1.5',
  'not a number': 'NaN',
  true: 'true',
  'no port and no path': '{}',
  'a host alone': "{ host: '127.0.0.1' }",
  'a text that is no port': "{ port: 'abc' }",
  'a descriptor that is none': '{ fd: 9999 }',
  'a descriptor that is a file': "{ fd: require('fs').openSync(__filename) }",
  'a host without an address': "P, 'no-such-host.invalid'",
  'an address of nobody': "P, '192.0.2.1'",
  'an IPv6 address of nobody': "P, '2001:db8::1'",
  'a path without its directory': "'./no/such/directory/s.sock'",
  'a path that is too long': "'./' + 'x'.repeat(200)",
  'a path that is a directory': "'.'",
  'an abstract name for everybody': "{ path: '\\0x', readableAll: true }",
  'a signal that is none': "{ port: P, signal: 'x' }",
  'a url': "'tcp://127.0.0.1:' + P",
  'an aborted signal': '{ port: P, signal: AbortSignal.abort() }',
  'a handle that is none': '{ _handle: {} }',
};

const listening = (kind: string) => (form: string) =>
  `
const server = seen(${kind});
counts(server);
const result = server.listen(${form}${form === '' ? '' : ', '}() => {
  const at = server.address();
  log('callback', typeof at === 'string' ? at : [at.address.replace('::ffff:', ''), at.family, at.port === P, at.port === Q], server.listening);
  log(server._connectionKey?.replace(/:\\d+$/, ''), server._pipeName ?? '', server._handle.constructor.name, typeof server._handle.fd, server._handle.hasRef(), Object.keys(server._handle).join());
  counts(server);
  server.close((error) => { log('closed', error?.code ?? '', server.listening, server.address()); });
});
log('returned', result === server, server.listening, typeof server.address());
counts(server);
`;

const failing = (form: string): string => `
const server = seen(require('net').createServer(() => {}));
server.on('error', fail);
try { server.listen(${form}); log('no throw', server.listening); } catch (error) { fail(error); }
setTimeout(() => { log(server.listening); counts(server); if (server.listening) server.close(); }, 400);
`;

export const servers: Program[] = [
  ...each(forms, 'net.listen', listening("require('net').createServer(() => {})")).map((one, at) => ({
    ...one,
    always: at % 7 === 0,
  })),
  ...each(
    { 'a port': 'P', localhost: "P, 'localhost'", 'port 0': '0', 'a path': "'./s.sock'" },
    'http.listen',
    listening("require('http').createServer()"),
  ),
  ...each(
    { 'a port': 'P', '127.0.0.1': "P, '127.0.0.1'" },
    'http2.listen',
    listening("require('http2').createServer()"),
  ),
  ...each({ 'a port': 'P' }, 'https.listen', listening("require('https').createServer()")),
  ...each({ 'a port': 'P', 'a path': "'./s.sock'" }, 'tls.listen', listening("require('tls').createServer()")),
  ...each({ 'a port': 'P' }, 'a server without a connection listener', listening("require('net').createServer()")),
  ...each(refused, 'refused', failing).map((one, at) => ({ ...one, always: at % 8 === 0 })),
  {
    name: 'a Unix socket held, in another spelling',
    endpoint: () => './s.sock',
    source: `const server = require('http').createServer((request, response) => response.end('unix')).listen(require('path').resolve('s.sock'), async () => { log(require('path').basename(server.address()), await get(0, { socketPath: 's.sock' })); process.exit(); });`,
  },
  {
    name: 'a Unix socket held, two servers',
    endpoint: () => './s.sock',
    source: `const make = () => seen(require('net').createServer(() => {})); const one = make().listen('./s.sock', () => { const two = make(); two.on('error', (error) => { fail(error); process.exit(); }); two.listen('././s.sock'); });`,
  },
  {
    name: 'two servers on one port: the second is refused',
    always: true,
    source: `const make = () => seen(require('net').createServer(() => {})); make().listen(P, () => { const two = make(); two.on('error', (error) => { fail(error); process.exit(); }); two.listen(P, () => log('both')); });`,
  },
  {
    name: 'two servers on one port, and nobody listens to the error',
    always: true,
    source: `const make = () => require('net').createServer(() => {}); make().listen(P, () => make().listen(P));`,
  },
  {
    name: 'two servers on one port, in one turn',
    source: `const make = () => seen(require('net').createServer(() => {})); const one = make().listen(P); const two = make(); two.on('error', (error) => { fail(error); log(one.listening, two.listening); process.exit(); }); two.listen(P); log(one.listening, two.listening, one.address()?.port === P, two.address());`,
  },
  ...each(
    {
      '127.0.0.1 and ::1': "'127.0.0.1', '::1'",
      '::1 and 127.0.0.1': "'::1', '127.0.0.1'",
      '127.0.0.1 twice': "'127.0.0.1', '127.0.0.1'",
      '127.0.0.1 and 127.0.0.2': "'127.0.0.1', '127.0.0.2'",
      '0.0.0.0 and 127.0.0.1': "'0.0.0.0', '127.0.0.1'",
      '0.0.0.0 and ::1': "'0.0.0.0', '::1'",
      ':: and 127.0.0.1': "'::', '127.0.0.1'",
      '127.0.0.1, ::1 and ::1': "'127.0.0.1', '::1', '::1'",
      'everything and 127.0.0.1': "undefined, '127.0.0.1'",
      '127.0.0.1 and everything': "'127.0.0.1', undefined",
    },
    'addresses',
    (hosts) => `
const http = require('http');
(async () => {
  for (const host of [${hosts}]) await new Promise((done) => { const server = http.createServer((request, response) => response.end(String(host))); server.on('error', (error) => { fail(error); done(); }); server.listen({ port: P, host }, () => { log(host, server.address().address); done(); }); });
  for (const host of ['127.0.0.1', '127.0.0.2', '::1']) log(host, await get(P, { host }));
  process.exit();
})();`,
  ).map((one, at) => ({ ...one, always: at === 0 })),
  {
    name: 'IPv4 and IPv6 apart on one port',
    source: `const make = (host) => require('http').createServer((request, response) => response.end(host)); make('0.0.0.0').listen(P, '0.0.0.0', () => make('::').listen({ port: P, host: '::', ipv6Only: true }, async () => { for (const host of ['127.0.0.1', '::1']) log(host, await get(P, { host })); process.exit(); }));`,
  },
  {
    name: 'two servers with reusePort',
    since: 24,
    source: `const make = () => seen(require('http').createServer((request, response) => response.end('x'))); make().listen({ port: P, reusePort: true }, () => make().listen({ port: P, reusePort: true }, async () => { log(await get(P)); process.exit(); }));`,
  },
  {
    name: 'blocked by another process, and nobody listens to the error',
    except: { 'learned port': again['learned port'] },
    always: true,
    source: `const child = require('child_process').spawn(process.execPath, ['-e', 'require("net").createServer(() => {}).listen(' + R + ', () => console.log("up"))'], { stdio: ['ignore', 'pipe', 'inherit'] }); child.stdout.once('data', () => { process.on('exit', () => child.kill('SIGKILL')); require('http').createServer(() => {}).listen(R); });`,
  },
  {
    name: 'blocked by another process, and the error is handled',
    except: { 'learned port': again['learned port'] },
    source: `const child = require('child_process').spawn(process.execPath, ['-e', 'require("net").createServer(() => {}).listen(' + R + ', () => console.log("up"))'], { stdio: ['ignore', 'pipe', 'inherit'] }); child.stdout.once('data', () => { const server = seen(require('http').createServer(() => {})).on('error', (error) => { fail(error); log(Object.keys(error).join()); child.kill('SIGKILL'); server.listen(P, () => { log('second try'); process.exit(3); }); }).listen(R); });`,
  },
  {
    name: 'close and listen again on the same port, many times',
    always: true,
    source: `const server = seen(require('http').createServer((request, response) => response.end('x'))); let round = 0; const go = () => server.listen(P, async () => { log(await get(P), server.address().port === P); server.close((error) => { log('closed', error ?? ''); if (++round < 4) go(); else process.exit(); }); }); go();`,
  },
  {
    name: 'close and listen again on the port that was chosen',
    source: `const server = seen(require('http').createServer((request, response) => response.end('x'))); let port = 0, round = 0; const go = () => server.listen(port, async () => { const again = port === 0 || server.address().port === port; port = server.address().port; log(await get(port), again); await later(100); server.close(() => { if (++round < 4) go(); else process.exit(); }); }); go();`,
  },
  {
    name: 'a closed server refuses',
    always: true,
    source: `const server = require('net').createServer((socket) => socket.end('x')); server.listen(P, async () => { await later(300); server.close(async () => { log(await tcp(P)); process.exit(); }); });`,
  },
  {
    name: 'close before it listens',
    source: `const server = seen(require('net').createServer(() => {})); server.listen(P); server.close((error) => log('closed', error?.code ?? '')); log(server.listening); setTimeout(() => log(server.listening), 200);`,
  },
  {
    name: 'close during the lookup',
    source: `const server = seen(require('net').createServer(() => {})); server.listen(P, 'localhost'); server.close((error) => log('closed', error?.code ?? '')); setTimeout(() => log(server.listening), 300);`,
  },
  {
    name: 'listen while it listens',
    source: `const server = seen(require('net').createServer(() => {})); server.listen(P); try { server.listen(P); log('no throw'); } catch (error) { log(error.code); } server.on('listening', () => { try { server.listen(Q); } catch (error) { log(error.code); } server.close(); });`,
  },
  {
    name: 'abort while it listens',
    source: `const control = new AbortController(); const server = seen(require('net').createServer(() => {})); server.listen({ port: P, signal: control.signal }, () => control.abort());`,
  },
  {
    name: 'abort of a server without a connection listener',
    source: `const control = new AbortController(); const server = require('net').createServer(); server.on('close', () => log('closed')); server.listen({ port: P, signal: control.signal }, () => { log('listening'); control.abort(); });`,
  },
  {
    name: 'unref lets the program end',
    always: true,
    source: `const server = require('http').createServer(() => {}); server.listen(P, () => { server.unref(); log('unref'); });`,
  },
  {
    name: 'unref before it listens',
    source: `const server = require('net').createServer(() => {}).unref(); server.listen(P, () => log('listening'));`,
  },
  {
    name: 'unref without a connection listener',
    source: `const server = require('net').createServer().unref(); server.listen(P, () => log('listening'));`,
  },
  {
    name: 'ref after unref keeps it',
    source: `const server = require('net').createServer(() => {}); server.listen(P, () => { server.unref(); server.ref(); setTimeout(() => { log('still here', server._handle.hasRef()); server.close(); }, 100).unref(); });`,
  },
  {
    name: 'a connection listener that comes with listening',
    source: `const server = require('net').createServer(); let times = 0; server.on('listening', () => { times++; server.on('connection', (socket) => socket.end('hello')); }); server.listen(P, async () => { log(await tcp(P), times); counts(server); process.exit(); });`,
  },
  {
    name: 'a connection listener that comes late',
    source: `const server = require('net').createServer(); server.listen(P, async () => { await later(100); server.on('connection', (socket) => socket.end('late')); log(await tcp(P)); process.exit(); });`,
  },
  {
    name: 'probes: a port is looked for, and then used',
    always: true,
    source: `const net = require('net'); const probe = (port) => new Promise((done) => { const server = net.createServer(); server.unref(); server.on('error', (error) => done(error.code)); server.listen(port, () => { const at = server.address().port; server.close(() => done(at === port)); }); }); (async () => { log(await probe(P), await probe(Q)); const server = net.createServer((socket) => socket.end('x')); server.listen(P, async () => { log(await probe(P), await tcp(P)); process.exit(); }); })();`,
  },
  {
    name: 'a probe that stays',
    source: `const net = require('net'); const server = net.createServer(); server.listen(P, async () => { const other = net.createServer(() => {}); other.on('error', (error) => { log(error.code, server._handle.fd >= 0, server.address().port === P); server.close(() => log('closed')); }); other.listen(P); });`,
  },
  {
    name: 'maxConnections drops',
    source: `const server = seen(require('net').createServer((socket) => socket.end('x'))); server.maxConnections = 0; server.on('drop', (data) => log(Object.keys(data ?? {}).sort().join())); server.listen(P, async () => { log((await tcp(P)) === '' ? 'nothing' : 'something'); process.exit(); });`,
  },
  {
    name: 'it looks by connecting whether its port is free',
    always: true,
    source: `const net = require('net'); const look = (options) => new Promise((done) => { const client = net.connect(options); client.on('connect', () => { client.destroy(); done('in use'); }); client.on('error', (error) => done([error.code, error.syscall, error.address ?? null, error.port === P, error.message.split('\\n')[0], error.errors?.length ?? 0])); }); (async () => { for (const host of ['127.0.0.1', '::1', 'localhost']) log(host, await look({ port: P, host })); log(await look({ port: P, host: '127.0.0.1', autoSelectFamily: false })); require('http').createServer((request, response) => response.end('x')).listen(P, async () => { log(await look({ port: P, host: '127.0.0.1' }), await get(P)); process.exit(); }); })();`,
  },
  {
    name: 'it waits for a server of its own that is started by a child',
    source: `const net = require('net'); if (process.argv[2] === 'child') require('http').createServer((request, response) => response.end('child')).listen(P, () => process.send('up')); else { const child = require('child_process').fork(__filename, ['child']); child.on('message', async () => { log(await get(P)); child.kill(); process.exit(); }); }`,
  },
  {
    name: 'it polls until a child serves',
    source: `const net = require('net'); if (process.argv[2] === 'child') setTimeout(() => require('http').createServer((request, response) => response.end('child')).listen(P), 100); else { const child = require('child_process').fork(__filename, ['child']); const look = async () => { const answer = await get(P); if (answer === 'ECONNREFUSED') return setTimeout(look, 20); log(answer); child.kill(); process.exit(); }; look(); }`,
  },
  {
    name: 'it removes the file of its socket before it listens',
    always: true,
    source: `const fs = require('fs'); try { fs.unlinkSync('s.sock'); } catch {} require('http').createServer((request, response) => response.end('unix')).listen('s.sock', async () => { log(fs.existsSync('s.sock'), await get(0, { socketPath: 's.sock' })); process.exit(); });`,
    endpoint: () => './s.sock',
  },
  {
    name: 'it removes the file of its socket if nobody answers there',
    source: `const fs = require('fs'), net = require('net'), path = require('path').resolve('s.sock'); const client = net.connect(path); const serve = () => { fs.rmSync(path, { force: true }); require('http').createServer((request, response) => response.end('unix')).listen(path, async () => { log(await get(0, { socketPath: path })); process.exit(); }); }; client.on('connect', () => { log('another one is running'); process.exit(1); }); client.on('error', (error) => serve());`,
    endpoint: () => './s.sock',
  },
  {
    name: 'getConnections, and the order of events of a connection',
    source: `const server = seen(require('net').createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => { server.getConnections((error, count) => { log(error, count, socket.server === server, socket.localPort === P); socket.resume(); socket.end('x'); }); })); server.listen(P, async () => { log(await tcp(P)); server.close(() => log('closed')); });`,
  },
  {
    name: 'a listener of connection that throws',
    except: again,
    source: `const server = require('net').createServer(() => { throw new Error('of the program'); }); server.listen(P, () => tcp(P));`,
  },
  {
    name: 'async disposal',
    since: 22,
    source: `const server = seen(require('net').createServer(() => {})); server.listen(P, async () => { await server[Symbol.asyncDispose](); log(server.listening); });`,
  },
  {
    name: 'events.once waits for listening',
    source: `const { once } = require('events'); (async () => { const server = require('net').createServer(() => {}); server.listen(P); await once(server, 'listening'); counts(server); log('here'); server.close(); })();`,
  },
  {
    name: 'order of ticks and microtasks around listening',
    always: true,
    source: `const order = []; process.nextTick(() => order.push('tick')); Promise.resolve().then(() => order.push('micro')); const server = require('net').createServer(() => {}); server.on('listening', () => order.push('listening')); process.nextTick(() => order.push('tick before')); server.listen(P); order.push('returned'); process.nextTick(() => order.push('tick after')); Promise.resolve().then(() => order.push('micro after')); setImmediate(() => { order.push('immediate'); log(order.join()); server.close(); });`,
  },
  {
    name: 'server.address() on the line after listen',
    source: `const server = require('net').createServer(() => {}).listen(P); const at = server.address(); log(at.address, at.family, at.port === P); server.close();`,
  },
  {
    name: 'a client that chooses its own port',
    source: `const net = require('net'); const server = net.createServer((socket) => { log(socket.remotePort === P); socket.end('x'); }); server.listen(Q, () => { const client = net.connect({ port: Q, host: '127.0.0.1', localPort: P, localAddress: '127.0.0.1' }); client.on('error', (error) => log(error.code)); client.on('connect', () => log(client.localPort === P)); client.on('close', () => process.exit()); client.resume(); });`,
    except: { 'own port': 'clients cannot bind a held port' },
  },
  {
    name: 'wrapping listen of the prototype, as monitors do',
    source: `const net = require('net'); const plain = net.Server.prototype.listen; net.Server.prototype.listen = function (...args) { log('wrapped', args.length); return plain.apply(this, args); }; net.createServer(() => {}).listen(P, function () { log('listening', this.listening); this.close(); });`,
  },
  {
    name: 'async_hooks sees the same handles',
    source: `const made = []; require('async_hooks').createHook({ init: (id, type) => { if (/SERVER|TCP|PIPE|UDP/.test(type)) made.push(type); } }).enable(); const server = require('net').createServer((socket) => socket.end('x')); server.listen(P, async () => { await tcp(P); server.close(() => log(made.filter((type) => !/^PIPE/.test(type)).join())); });`,
  },
  {
    name: 'active resources of a server',
    source: `const server = require('net').createServer(() => {}); server.listen(P, () => setImmediate(() => { log(process.getActiveResourcesInfo().join(), process._getActiveHandles().map((one) => one.constructor.name).join()); server.close(); }));`,
  },
  {
    name: 'functions of net and their names',
    source: `const net = require('net'), dgram = require('dgram'), child = require('child_process'); log(net.Server.prototype.listen.toString().length, net.Server.prototype.listen.name, net.Server.prototype.listen.length, Object.getOwnPropertyNames(net.Server.prototype).join(), dgram.Socket.prototype.bind.toString().length, child.ChildProcess.prototype.spawn.toString().length, child.spawn.toString().length);`,
  },
];
