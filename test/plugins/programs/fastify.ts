import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { rebind } from '../../../src/plugins/fastify.ts';
import { answer, options, ready, said, target } from './shared.ts';

const app = fastify();
await app.register(rebind, options('fastify'));
app.addHook('onClose', async () => said('onClose'));
app.get('/', async (request) => answer((request.query as { delay?: string }).delay));
await app.listen(target);
ready((app.server.address() as AddressInfo).port);
