// What the soak holds: HTTP/1 with WebSocket, HTTP/2 and TLS, on three held ports, unmodified but for a bad release now and then.
const { existsSync, readFileSync } = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const { WebSocketServer } = require('ws');

const mode = existsSync(process.env.MODE_FILE) ? readFileSync(process.env.MODE_FILE, 'utf8') : '';
if (mode === 'crash') throw new Error('this release is broken');
if (mode === 'hang') setInterval(() => {}, 1000);
else {
  const ballast = Buffer.alloc(mode === 'heavy' ? 128 * 1024 * 1024 : 0, 1);
  const answer = (request, response) => {
    if (request.url === '/passed') return response.end(process.env.REBIND_HOLD);
    request.resume();
    request.on('end', () =>
      setTimeout(() => response.end(`${process.env.REBIND_GENERATION} ${process.pid} ${ballast.length}\n`), 5),
    );
  };
  const server = http.createServer(answer).listen(Number(process.env.HTTP_PORT), '127.0.0.1');
  new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  http2.createServer(answer).listen(Number(process.env.HTTP2_PORT), '127.0.0.1');
  const [key, cert] = ['key', 'cert'].map((part) => readFileSync(`${process.env.FIXTURES}/localhost.${part}.pem`));
  http2.createSecureServer({ key, cert, allowHTTP1: true }, answer).listen(Number(process.env.TLS_PORT), '127.0.0.1');
}
