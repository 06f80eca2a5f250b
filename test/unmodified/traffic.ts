import { again, type Program } from './program.ts';

const keys = "{ key: require('fs').readFileSync(process.env.KEY), cert: require('fs').readFileSync(process.env.CERT) }";
const clusterOf = (primary: string, worker: string, schedule = 2): string =>
  `const cluster = require('cluster'); cluster.schedulingPolicy = ${schedule}; if (cluster.isPrimary) { ${primary} } else { ${worker} }`;
const collect =
  'const lines = []; const done = () => { for (const worker of Object.values(cluster.workers)) worker.kill(); log(lines.sort().join()); process.exit(); }; setTimeout(() => { lines.push("late"); done(); }, 8000).unref();';
const report =
  "const server = require('http').createServer((request, response) => response.end('x')); server.on('error', (error) => process.send([error.code, error.syscall, error.address, error.port === P]));";

/** Servers that answer: http, https, http2, tls. */
const web: Program[] = [
  {
    name: 'http: a request and its events',
    always: true,
    source: `const server = seen(require('http').createServer((request, response) => response.end(request.url))); server.listen(P, async () => { log(await get(P, { path: '/a' })); counts(server); server.close(() => log('closed')); });`,
  },
  {
    name: 'http: keep-alive and closeIdleConnections',
    source: `const http = require('http'); const agent = new http.Agent({ keepAlive: true }); const server = http.createServer((request, response) => response.end('x')); server.listen(P, async () => { log(await get(P, { agent })); log(await get(P, { agent })); server.close(() => log('closed')); server.closeIdleConnections(); agent.destroy(); });`,
  },
  {
    name: 'http: upgrade',
    source: `const server = seen(require('http').createServer(() => {})); server.on('upgrade', (request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: own\\r\\nConnection: Upgrade\\r\\n\\r\\n')); server.listen(P, () => { const asked = require('http').get({ port: P, host: '127.0.0.1', headers: { connection: 'Upgrade', upgrade: 'own' } }); asked.on('upgrade', (response, socket) => { log(response.statusCode, response.headers.upgrade); counts(server); socket.destroy(); server.close(); }); });`,
  },
  {
    name: 'http: an upgrade that nobody listens to',
    source: `const server = require('http').createServer((request, response) => response.end('plain')); server.listen(P, async () => { log(await get(P, { headers: { connection: 'Upgrade', upgrade: 'own' } })); process.exit(); });`,
  },
  {
    name: 'http: CONNECT',
    source: `const server = require('http').createServer(() => {}); server.on('connect', (request, socket) => { socket.end('HTTP/1.1 200 OK\\r\\n\\r\\ntunnel'); }); server.listen(P, () => { require('http').request({ port: P, host: '127.0.0.1', method: 'CONNECT', path: 'a:1' }).on('connect', (response, socket, head) => { log(response.statusCode); socket.destroy(); server.close(); }).end(); });`,
  },
  {
    name: 'http: Expect: 100-continue',
    source: `const server = require('http').createServer((request, response) => { request.resume(); response.end('x'); }); server.listen(P, () => { const asked = require('http').request({ port: P, host: '127.0.0.1', method: 'POST', headers: { expect: '100-continue' } }); asked.on('continue', () => { log('continue'); asked.end('body'); }); asked.on('response', (response) => { log(response.statusCode); process.exit(); }); asked.flushHeaders(); });`,
  },
  {
    name: 'http: a bad request',
    source: `const server = require('http').createServer(() => {}); server.on('clientError', (error, socket) => { log(error.code); socket.end('HTTP/1.1 400 Bad Request\\r\\n\\r\\n'); }); server.listen(P, () => { const client = require('net').connect(P, '127.0.0.1', () => client.write('nonsense\\r\\n\\r\\n')); client.on('data', (data) => log(String(data).trim())); client.on('close', () => process.exit()); });`,
  },
  {
    name: 'http: an error in a handler ends the program',
    except: again,
    always: true,
    source: `const server = require('http').createServer(() => { throw new TypeError('of the program'); }); server.listen(P, () => get(P));`,
  },
  {
    name: 'http: a stack trace in a handler',
    source: `const server = require('http').createServer((request, response) => response.end(new Error('here').stack)); server.listen(P, async () => { log((await get(P)).replaceAll(__dirname, '')); process.exit(); });`,
  },
  {
    name: 'http: a stack trace in listening',
    source: `require('net').createServer(() => {}).listen(P, () => { log(new Error('here').stack.replaceAll(__dirname, '')); process.exit(); });`,
  },
  {
    name: 'http: timeouts and limits',
    source: `const server = require('http').createServer({ requestTimeout: 500, headersTimeout: 400, keepAliveTimeout: 300, connectionsCheckingInterval: 100 }, () => {}); server.setTimeout(200); server.listen(P, async () => { log(server.timeout, server.keepAliveTimeout, server.headersTimeout, server.maxConnections ?? null); log(await tcp(P)); process.exit(); });`,
  },
  {
    name: 'http: insecure parser and maximal header',
    source: `const server = require('http').createServer({ maxHeaderSize: 100 }, (request, response) => response.end('x')); server.listen(P, async () => { log(await get(P, { headers: { a: 'x'.repeat(200) } })); process.exit(); });`,
  },
  {
    name: 'http: close waits for the answer under way',
    source: `const server = require('http').createServer(async (request, response) => { server.close(() => log('closed')); await later(200); response.end('late'); }); server.listen(P, async () => log(await get(P)));`,
  },
  {
    name: 'http: closeAllConnections',
    source: `const server = require('http').createServer(() => { server.closeAllConnections(); server.close(() => log('closed')); }); server.listen(P, async () => log(await get(P)));`,
  },
  {
    name: 'http: fetch',
    source: `const server = require('http').createServer((request, response) => response.end(request.headers['user-agent'])); server.listen(P, async () => { log(await (await fetch('http://127.0.0.1:' + P)).text()); process.exit(); });`,
  },
  {
    name: 'http: a socket given to a server by hand',
    source: `const http = require('http'), net = require('net'); const web = http.createServer((request, response) => response.end('by hand')); const server = net.createServer((socket) => web.emit('connection', socket)); server.listen(P, async () => { log(await get(P)); process.exit(); });`,
  },
  {
    name: 'https: a request',
    always: true,
    source: `const server = seen(require('https').createServer(${keys}, (request, response) => response.end('secure'))); server.listen(P, async () => { log(await get(P, {}, true)); counts(server); server.close(); });`,
  },
  {
    name: 'https: a client that speaks no TLS',
    source: `const server = require('https').createServer(${keys}, () => {}); server.on('tlsClientError', (error) => { log(error.code); process.exit(); }); server.listen(P, () => get(P));`,
  },
  {
    name: 'tls: an echo',
    source: `const server = seen(require('tls').createServer(${keys}, (socket) => socket.pipe(socket))); server.listen(P, () => { const client = require('tls').connect({ port: P, host: '127.0.0.1', rejectUnauthorized: false }, () => client.write('hello')); client.on('data', (data) => { log(String(data)); client.end(); server.close(); }); });`,
  },
  {
    name: 'tls: two names',
    source: `const tls = require('tls'); const server = tls.createServer(${keys}, (socket) => socket.end(socket.servername || 'none')); server.addContext('a.example', ${keys}); server.listen(P, () => { const client = tls.connect({ port: P, host: '127.0.0.1', servername: 'a.example', rejectUnauthorized: false }); client.on('data', (data) => log(String(data))); client.on('close', () => process.exit()); });`,
  },
  {
    name: 'http2: a session and a stream',
    always: true,
    source: `const http2 = require('http2'); const server = seen(http2.createServer()); server.on('stream', (stream) => { stream.respond({ ':status': 200 }); stream.end('two'); }); server.listen(P, () => { counts(server); const client = http2.connect('http://127.0.0.1:' + P); const stream = client.request({ ':path': '/' }); stream.on('data', (data) => log(String(data))); stream.on('close', () => { client.close(); server.close(() => log('closed')); }); });`,
  },
  {
    name: 'http2: secure, and HTTP/1 beside it',
    source: `const server = require('http2').createSecureServer({ ...${keys}, allowHTTP1: true }, (request, response) => response.end(request.httpVersion)); server.listen(P, async () => { log(await get(P, {}, true)); const client = require('http2').connect('https://127.0.0.1:' + P, { rejectUnauthorized: false }); const stream = client.request({ ':path': '/' }); stream.on('data', (data) => log(String(data))); stream.on('close', () => { client.close(); process.exit(); }); });`,
  },
  {
    name: 'http2: counts of a session',
    source: `const http2 = require('http2'); const server = http2.createServer((request, response) => { log(request.stream.session.eventNames().map(String).sort().join(), request.socket.remoteFamily); response.end('x'); }); server.listen(P, () => { const client = http2.connect('http://127.0.0.1:' + P); client.request().on('close', () => { client.close(); server.close(); }).resume(); });`,
  },
  {
    name: 'diagnostics channels of a server',
    source: `const dc = require('diagnostics_channel'); for (const name of ['net.server.socket', 'net.client.socket', 'http.server.request.start']) dc.subscribe(name, (message) => log(name, Object.keys(message).join())); const server = require('http').createServer((request, response) => response.end('x')); server.listen(P, async () => { log(await get(P)); process.exit(); });`,
  },
];

/** dgram. */
const udp: Program[] = [
  ...Object.entries({
    'a port': 'P',
    'a port and 127.0.0.1': "P, '127.0.0.1'",
    options: '{ port: P }',
    exclusive: "{ port: P, address: '127.0.0.1', exclusive: true }",
    localhost: "P, 'localhost'",
    'port 0': '0',
    nothing: '',
  }).map(
    ([name, form]): Program => ({
      name: `udp bind: ${name}`,
      endpoint: (port) => `udp/${port}`,
      always: name === 'a port',
      source: `const socket = seen(require('dgram').createSocket('udp4')); socket.bind(${form}${form === '' ? '' : ', '}() => { const at = socket.address(); log(at.address, at.family, at.port === P); counts(socket); const client = require('dgram').createSocket('udp4'); socket.on('message', (message, from) => { log(String(message), from.family, from.address, from.size); socket.send('back', from.port, from.address); }); client.on('message', (message) => { log(String(message)); client.close(); socket.close(); }); client.send('there', at.port, '127.0.0.1'); }); log('returned');`,
    }),
  ),
  {
    name: 'udp6 bind',
    endpoint: (port) => `udp/${port}`,
    source: `const socket = seen(require('dgram').createSocket('udp6')); socket.bind(P, () => { log(socket.address().address); const client = require('dgram').createSocket('udp6'); socket.on('message', (message, from) => { log(String(message), from.address); client.close(); socket.close(); }); client.send('there', P, '::1'); });`,
  },
  {
    name: 'udp6 bind, IPv6 only, and udp4 beside it',
    endpoint: (port) => `udp/${port}`,
    source: `const dgram = require('dgram'); const six = dgram.createSocket({ type: 'udp6', ipv6Only: true }); six.bind(P, () => { const four = dgram.createSocket('udp4'); four.on('error', (error) => { fail(error); process.exit(); }); four.bind(P, () => { log('both'); process.exit(); }); });`,
  },
  {
    name: 'udp: a second socket is refused',
    always: true,
    endpoint: (port) => `udp/${port}`,
    source: `const make = () => require('dgram').createSocket('udp4'); make().bind(P, () => { const two = make(); two.on('error', (error) => { fail(error); process.exit(); }); two.bind(P, () => { log('both'); process.exit(); }); });`,
  },
  {
    name: 'udp: a second socket is refused, and nobody listens',
    endpoint: (port) => `udp/${port}`,
    source: `const make = () => require('dgram').createSocket('udp4'); make().bind(P, () => make().bind(P));`,
  },
  {
    name: 'udp: reuseAddr',
    endpoint: (port) => `udp/${port}`,
    source: `const make = () => new Promise((done, no) => { const socket = require('dgram').createSocket({ type: 'udp4', reuseAddr: true }); socket.on('error', no); socket.bind(P, () => done(socket)); }); make().then(make).then(() => { log('both'); process.exit(); }, (error) => { fail(error); process.exit(); });`,
  },
  {
    name: 'udp: reuseAddr of the second only',
    endpoint: (port) => `udp/${port}`,
    source: `const make = (reuseAddr) => new Promise((done, no) => { const socket = require('dgram').createSocket({ type: 'udp4', reuseAddr }); socket.on('error', no); socket.bind(P, () => done(socket)); }); make(false).then(() => make(true)).then(() => { log('both'); process.exit(); }, (error) => { fail(error); process.exit(); });`,
  },
  {
    name: 'udp: bind twice',
    endpoint: (port) => `udp/${port}`,
    source: `const socket = require('dgram').createSocket('udp4'); socket.bind(P, () => { try { socket.bind(P); log('no throw'); } catch (error) { log(error.code); } socket.close(); });`,
  },
  {
    name: 'udp: close and bind again',
    endpoint: (port) => `udp/${port}`,
    source: `let round = 0; const go = () => { const socket = seen(require('dgram').createSocket('udp4')); socket.bind(P, '127.0.0.1', () => { socket.on('message', (message) => { log(String(message)); socket.close(() => { if (++round < 3) go(); else process.exit(); }); }); require('dgram').createSocket('udp4').unref().send('round ' + round, P, '127.0.0.1'); }); }; go();`,
  },
  {
    name: 'udp: options before and after bind',
    endpoint: (port) => `udp/${port}`,
    source: `const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 100000, sendBufferSize: 100000 }); try { socket.setTTL(3); } catch (error) { log(error.code); } socket.bind(P, () => { socket.setBroadcast(true); socket.setTTL(5); socket.setMulticastTTL(4); log(socket.getRecvBufferSize() >= 100000, socket.getSendBufferSize() >= 100000); socket.close(); });`,
  },
  {
    name: 'udp: an address of nobody',
    source: `const socket = require('dgram').createSocket('udp4'); socket.on('error', (error) => { fail(error); socket.close(); }); socket.bind(P, '192.0.2.1');`,
  },
  {
    name: 'udp: a host without an address',
    source: `const socket = require('dgram').createSocket('udp4'); socket.on('error', (error) => { fail(error); socket.close(); }); socket.bind(P, 'no-such-host.invalid');`,
  },
  {
    name: 'udp: an implicit bind by send, and connect',
    source: `const dgram = require('dgram'); const server = dgram.createSocket('udp4').bind(P, () => { const client = seen(dgram.createSocket('udp4')); server.on('message', (message) => { log(String(message), client.remoteAddress().port === P); client.close(); server.close(); }); client.connect(P, '127.0.0.1', () => client.send('connected')); });`,
  },
  {
    name: 'udp: an aborted signal',
    source: `const control = new AbortController(); const socket = seen(require('dgram').createSocket({ type: 'udp4', signal: control.signal })); socket.bind(P, () => control.abort());`,
  },
];

/** cluster, both schedulings. */
const clusters: Program[] = [2, 1].flatMap((schedule): Program[] => {
  const how = schedule === 2 ? 'round robin' : 'shared';
  return [
    ...Object.entries({
      'a port': 'P',
      'a host': "P, '127.0.0.1'",
      IPv6: "P, '::1'",
      exclusive: '{ port: P, exclusive: true }',
      'IPv6 only': '{ port: P, ipv6Only: true }',
      'port 0': '0',
      'a path': "'./c.sock'",
      'an address of nobody': "P, '192.0.2.1'",
    }).map(
      ([name, form]): Program => ({
        name: `cluster, ${how}: two workers, ${name}`,
        always: name === 'a port',
        source: clusterOf(
          `${collect} cluster.on('message', (worker, message) => { lines.push(JSON.stringify(message)); if (lines.length === 2) done(); }); cluster.fork(); cluster.fork();`,
          `${report} server.listen(${form}, () => process.send(['up', typeof server.address() === 'string' ? 'path' : server.address().address]));`,
          schedule,
        ),
      }),
    ),
    {
      name: `cluster, ${how}: requests, events of the primary, disconnect`,
      source: clusterOf(
        `let n = 0; for (const name of ['fork', 'online', 'disconnect']) cluster.on(name, () => {}); for (let i = 0; i < 2; i++) cluster.fork(); cluster.on('listening', async (worker, at) => { if (++n < 2) return; log(at.address, at.addressType, at.port === P, at.fd ?? null); for (let i = 0; i < 6; i++) log(await get(P)); cluster.disconnect(() => { log('disconnected'); }); }); cluster.on('exit', (worker, status) => { if (status) log('worker', status); });`,
        `require('http').createServer((request, response) => response.end('x')).listen(P);`,
        schedule,
      ),
    },
    {
      name: `cluster, ${how}: a worker whose port is taken`,
      source: clusterOf(
        `const other = require('net').createServer(() => {}).listen(R, () => { cluster.fork().on('exit', (status) => { log('worker', status); other.close(); }); });`,
        `require('http').createServer(() => {}).listen(R);`,
        schedule,
      ),
    },
    {
      name: `cluster, ${how}: udp`,
      endpoint: (port) => `udp/${port}`,
      source: clusterOf(
        `${collect} cluster.fork(); cluster.on('listening', (worker, at) => { log(at.addressType, at.port === P); require('dgram').createSocket('udp4').send('to a worker', P, '127.0.0.1'); }); cluster.on('message', (worker, message) => { lines.push(message); done(); });`,
        `const socket = require('dgram').createSocket('udp4'); socket.on('error', (error) => process.send(error.code)); socket.on('message', (message) => process.send(String(message))); socket.bind(P);`,
        schedule,
      ),
    },
    {
      name: `cluster, ${how}: the worker closes and listens again`,
      source: clusterOf(
        `const worker = cluster.fork(); worker.on('message', (message) => log(message)); worker.on('exit', (status) => log('exit', status));`,
        `const server = require('http').createServer((request, response) => response.end('x')); let round = 0; const go = () => server.listen(P, async () => { process.send(await get(P)); server.close(() => { if (++round < 3) go(); else process.disconnect(); }); }); go();`,
        schedule,
      ),
    },
  ];
});

const more: Program[] = [
  {
    name: 'cluster: a message that is sent at once',
    always: true,
    source: clusterOf(
      `const worker = cluster.fork(); worker.on('online', () => worker.send('hello')); worker.on('message', (message) => { log(message); worker.kill(); process.exit(); });`,
      `cluster.worker.on('message', (message) => process.send(message));`,
    ),
  },
  {
    name: 'cluster: the primary listens, too',
    source: clusterOf(
      `require('http').createServer((request, response) => response.end('primary')).listen(P, () => cluster.fork().on('message', async (message) => { log(message, await get(P)); process.exit(); }));`,
      `${report} server.listen(P, () => process.send('up'));`,
    ),
  },
  {
    name: 'cluster: TLS tickets are shared by the workers',
    source: clusterOf(
      `const tls = require('tls'); let up = 0, session = null, left = 4; const go = () => { const client = tls.connect({ port: P, host: '127.0.0.1', session, rejectUnauthorized: false, maxVersion: 'TLSv1.2' }, () => { log(client.isSessionReused()); client.end(); }); client.on('session', (one) => { session = one; }); client.on('close', () => { if (--left > 0) go(); else { for (const worker of Object.values(cluster.workers)) worker.kill(); process.exit(); } }); client.resume(); }; for (let i = 0; i < 2; i++) cluster.fork().on('message', () => { if (++up === 2) go(); });`,
      `require('tls').createServer(${keys}, (socket) => socket.end('x')).listen(P, () => process.send('up'));`,
    ),
  },
  {
    name: 'cluster: reusePort in two workers',
    since: 24,
    source: clusterOf(
      `${collect} cluster.on('message', (worker, message) => { lines.push(JSON.stringify(message)); if (lines.length === 2) done(); }); cluster.fork(); cluster.fork();`,
      `${report} server.listen({ port: P, reusePort: true }, () => process.send('up'));`,
    ),
  },
  {
    name: "cluster: stacks of a worker's error",
    source: clusterOf(
      `const other = require('net').createServer(() => {}).listen(R, () => { cluster.fork().on('message', (message) => { log(message); process.exit(); }); });`,
      `const server = require('http').createServer(() => {}); server.on('error', (error) => process.send(error.stack.split('\\n').filter((line) => line.startsWith('    at')).join('|'))); server.listen(R);`,
    ),
  },
  {
    name: 'cluster: state of a worker',
    source: clusterOf(
      `cluster.fork({ A: '1' }).on('message', (message) => { log(message); process.exit(); });`,
      `process.send([process.execArgv, process.argv.length, process.env.A, process.env.NODE_UNIQUE_ID ?? null, process.eventNames().map(String), typeof process.send, module.parent === null]);`,
    ),
  },
];

export const traffic: Program[] = [...web, ...udp, ...clusters, ...more];
