/** A server that does not end at SIGTERM, and says when it got one. */
import net, { type AddressInfo } from 'node:net';

const server = net.createServer();
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('SIGTERM', () => process.send?.('asked'));
