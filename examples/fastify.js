/**
 * A fastify app: its own server is handed to listen() when the app is ready.
 *
 *   PORT=3000 node examples/fastify.js
 */
import fastify from 'fastify';
import { close, listen } from 'rebind';

const app = fastify();
app.get('/', async () => ({ hello: 'world' }));
await app.ready();

const { port } = await listen(app.server, { port: Number(process.env.PORT ?? 3000), busy: 'take-over' });
close.onSignals(app.server, { graceMs: 10_000 });
console.log(`listening on ${port}`);
