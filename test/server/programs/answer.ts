/** An ordinary Node server that knows nothing of rebind: on PORT, or on descriptor 3. */
import http from 'node:http';

const server = http.createServer((_request, response) => response.end(`answer ${process.pid}`));
const port = process.env['PORT'];
server.listen(port === undefined ? { fd: 3 } : { port: Number(port), host: '127.0.0.1' }, () =>
  process.stdout.write('ready\n'),
);
