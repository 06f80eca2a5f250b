import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programName } from '../../src/model/program.ts';

const named: readonly (readonly [string, string, readonly string[]])[] = [
  ['vite', 'node', ['node', '/home/ann/shop/node_modules/.bin/vite', '--host']],
  ['vite', 'node', ['/usr/bin/node', '/home/ann/shop/node_modules/vite/bin/vite.js']],
  ['@nestjs/cli', 'node', ['node', 'node_modules/@nestjs/cli/bin/nest.js', 'start']],
  ['next', 'node', ['node', '/s/node_modules/.pnpm/next@15.0.0/node_modules/next/dist/bin/next', 'dev']],
  ['node server.js', 'node', ['node', '--require', './a.js', '--enable-source-maps', '/srv/shop/server.js']],
  ['node -e', 'node', ['node', '-e', 'require("http").createServer().listen(3000)']],
  ['node', 'node', ['node']],
  ['python3 -m http.server', 'python3', ['python3', '-u', '-m', 'http.server', '8000']],
  ['python3 app.py', 'python3', ['python3', 'app.py']],
  ['gunicorn', 'gunicorn', ['/usr/bin/python3', '/usr/bin/gunicorn', 'app:app']],
  ['nginx: master process', 'nginx', ['nginx: master process nginx -c /etc/nginx/nginx.conf']],
  ['nginx: worker process', 'nginx', ['nginx: worker process']],
  ['postgres: checkpointer', 'postgres', ['postgres: checkpointer ', '', '']],
  ['redis-server', 'redis-server', ['redis-server *:6379']],
  ['npm run dev', 'npm run dev', ['npm run dev', '', '']],
  ['php-fpm: master process', 'php-fpm8.4', ['php-fpm: master process (/etc/php/8.4/fpm/php-fpm.conf)']],
  ['a-program-with-a-long-name', 'a-program-with-', ['/opt/a-program-with-a-long-name', '--port', '3000']],
  ['node app.js', 'node /srv/shop/', ['node /srv/shop/app.js', '', '']],
  ['bash', 'bash', ['-bash']],
  ['sleep', 'sleep', []],
  ['My Editor', 'My Editor', ['/opt/My Apps/My Editor']],
];

for (const [name, command, argv] of named) {
  test(`${JSON.stringify(argv.join(' '))} is ${name}`, () => assert.equal(programName({ command, argv }), name));
}

test('a name stays part of a sentence, however long its text is', () => {
  assert(programName({ command: 'x', argv: ['x'.repeat(5000)] }).length <= 60);
  assert(programName({ command: 'node', argv: ['node', `/${'y'.repeat(5000)}`] }).length <= 60);
});
