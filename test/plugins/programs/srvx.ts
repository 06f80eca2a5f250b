import { serve } from 'srvx';
import { rebind } from '../../../src/plugins/srvx.ts';
import { answer, options, ready, target } from './shared.ts';

const server = serve({
  port: target.port,
  hostname: target.host,
  silent: true,
  gracefulShutdown: false,
  plugins: [rebind(options('srvx'))],
  fetch: async (request) => new Response(await answer(new URL(request.url).searchParams.get('delay'))),
});
await server.ready();
setImmediate(() => ready(Number(new URL(server.url ?? '').port)));
