/**
 * Each plugin with its framework: a load balancer's view of one that is asked to end. New and kept connections, one answer under way, and the
 * framework's own hooks in their order.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The framework, what it says at its end, and what it ends with. vite ends by itself, with a status of its own. */
const frameworks: readonly (readonly [name: string, words: readonly string[], end: NodeJS.Signals | number])[] = [
  ['express', ['asked', 'after express'], 'SIGTERM'],
  ['koa', ['asked', 'after koa'], 'SIGTERM'],
  ['hono', ['asked', 'after hono'], 'SIGTERM'],
  ['fastify', ['asked', 'onClose', 'after fastify'], 'SIGTERM'],
  ['nest', ['asked', 'onModuleDestroy', 'after nest'], 'SIGTERM'],
  ['srvx', ['asked', 'after srvx'], 'SIGTERM'],
  ['vite', ['asked', 'after vite'], 143],
];

const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

function get(port: number, path: string, agent: http.Agent | false): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    http
      .get({ port, host: '127.0.0.1', path, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      })
      .on('error', reject);
  });
}

describe('a server that a plugin ends', () => {
  for (const [name, expected, end] of frameworks)
    test(`${name} loses nothing and runs its hooks in order`, { timeout: 60_000 }, async () => {
      const program = fileURLToPath(new URL(`programs/${name}.js`, import.meta.url));
      const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.add(child);
      const lines = createInterface(child.stdout);
      const words: string[] = [];
      lines.on('line', (line) => words.push(line));
      const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
      const [first] = (await once(lines, 'line')) as [string];
      const port = Number(first.split(' ')[1]);
      assert.ok(port > 0, first);
      assert.equal((await get(port, '/readyz', false)).status, 200);
      assert.equal((await get(port, '/livez', false)).status, 200);

      let answered = 0;
      const lost: unknown[] = [];
      let isOut = false;
      /** A client whose balancer takes the server out when it says no. */
      const client = async (agent: http.Agent | false): Promise<void> => {
        while (!isOut)
          try {
            const { status, text } = await get(port, '/', agent);
            if (status === 200 && text === 'done') answered++;
            else lost.push(status);
            await sleep(5);
          } catch (error) {
            lost.push(error);
          }
      };
      const agents = [
        new http.Agent({ keepAlive: true, maxSockets: 1 }),
        new http.Agent({ keepAlive: true, maxSockets: 1 }),
      ];
      const clients = [client(false), client(false), ...agents.map((agent) => client(agent))];
      const slow = get(port, '/?delay=900', false);
      while (!words.includes('asked')) await once(lines, 'line');
      await sleep(100);
      const before = answered;
      child.kill('SIGTERM');
      // One of its checks says no.
      for (;;) {
        await sleep(50);
        const { status } = await get(port, '/readyz', false);
        if (status === 503) break;
        assert.equal(status, 200);
      }
      assert.equal((await get(port, '/livez', false)).status, 200);
      await sleep(100);
      isOut = true;
      await Promise.all(clients);
      assert.deepEqual(await slow, { status: 200, text: 'done' });
      for (const agent of agents) agent.destroy();
      const [status, signal] = await exited;
      children.delete(child);
      assert.deepEqual(lost, []);
      assert.ok(before > 0 && answered > before, `${before} answers before the signal, ${answered} in all`);
      assert.equal(signal ?? status, end);
      assert.deepEqual(words.slice(1), expected);
    });
});
