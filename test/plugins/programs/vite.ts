import { mkdtempSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'vite';
import { rebind } from '../../../src/plugins/vite.ts';
import { answer, options, ready, target } from './shared.ts';

const root = mkdtempSync(join(tmpdir(), 'rebind-vite-'));
writeFileSync(join(root, 'index.html'), '<p>hello</p>');
const { signals: _signals, ...rest } = options('vite');
const vite = await createServer({
  root,
  configFile: false,
  logLevel: 'error',
  server: target,
  plugins: [
    rebind(rest),
    {
      name: 'slow',
      configureServer: ({ middlewares }) => {
        middlewares.use('/', (request, response) => {
          answer(new URL(request.url ?? '', 'http://x').searchParams.get('delay')).then((text) => response.end(text));
        });
      },
    },
  ],
});
await vite.listen();
const address = vite.httpServer?.address() as AddressInfo;
ready(address.port);
