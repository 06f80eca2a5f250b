/** An ordinary Node server that knows nothing of rebind: on PORT, on the path PATH_TO, or on descriptor 3. */
import http from 'node:http';

const server = http.createServer((_request, response) => response.end(`answer ${process.pid}`));
const { PORT: port, PATH_TO: path } = process.env;
const onPort = port === undefined ? { fd: 3 } : { port: Number(port), host: '127.0.0.1' };
server.listen(path === undefined ? onPort : { path }, () => process.stdout.write('ready\n'));
// It removes its path when it closes, as servers do.
if (path !== undefined) process.once('SIGTERM', () => server.close());
