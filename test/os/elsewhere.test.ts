/**
 * The command and the library on a system that rebind does not know, and on one that provides nothing: never a crash, never a guess.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Io } from '../../src/cli/io.ts';
import { readLine, run } from '../../src/cli/run.ts';
import { free, hold, wait, why } from '../../src/index.ts';
import { useOs } from '../../src/os/index.ts';
import { main } from '../cli/command-line.ts';
import { stub } from './stub.ts';

const elsewhere = `data:text/javascript,Object.defineProperty(process,'platform',{value:'sunos'})`;

function there(...words: string[]): { code: number | null; text: string; stdout: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`--import=${elsewhere}`, main, ...words], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', NODE_DISABLE_COMPILE_CACHE: '1' },
    timeout: 60_000,
  });
  return { code: status, stdout, text: `${stdout}${stderr}`.replace(/\s+/g, ' ') };
}

async function taken(): Promise<{ port: number; address: string } & AsyncDisposable> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return {
    port,
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

describe('on a system that rebind does not know', () => {
  test('why, free and wait have the answer of the system, and say that they see no more', async () => {
    let address: string;
    {
      await using server = await taken();
      ({ address } = server);
      for (const words of [['why'], ['free'], ['wait', '--timeout', '10ms']]) {
        const { code, text } = there(...words, address);
        assert.equal(code, 1, text);
        assert.doesNotMatch(text, /bug in rebind|^Free/, text);
      }
      assert.match(there('why', address).text, /EADDRINUSE.*No socket and no process can be seen on sunos/);
      const open = there('wait', '--for', 'open', '--timeout', '5s', address);
      assert.equal(open.code, 0, open.text);
    }
    for (const words of [['why'], ['free'], ['wait', '--timeout', '10ms']])
      assert.equal(there(...words, address).code, 0, words[0]);
    const closed = there('wait', '--for', 'open', '--timeout', '50ms', address);
    assert.equal(closed.code, 1, closed.text);
  });

  test('what it cannot do is one sentence and exit status 4', async () => {
    await using server = await taken();
    for (const words of [
      ['ls'],
      ['hold', server.address, '--', 'true'],
      ['wait', '--for', 'open', '--pid', '1', server.address],
      ['wait', '--for', 'open', 'udp/53'],
    ]) {
      const { code, text } = there(...words);
      assert.equal(code, 4, `${words.join(' ')}: ${text}`);
      assert.match(text, /^rebind: [^.]* on sunos yet: only Linux has been run and tested $/, text);
    }
  });

  test('a Unix path cannot be told', () => {
    const { code, text } = there('why', './nothing.sock');
    assert.equal(code, 3, text);
    assert.match(text, /^Cannot tell/);
  });

  test('listen, close, reserve and connect do what those of Node do', async () => {
    await using server = await taken();
    const program = `
      import { once } from 'node:events';
      import http from 'node:http';
      const { close, connect, getOption, listen, reserve } = await import(process.argv[1]);
      const port = Number(process.argv[2]);
      const one = http.createServer((_, response) => response.end('hello'));
      const at = await listen(one, { port: 0, host: '127.0.0.1', keepAlive: true });
      const text = await (await fetch('http://127.0.0.1:' + at.port)).text();
      const client = connect({ port: at.port, host: '127.0.0.1' });
      await once(client, 'connect');
      const connected = client.socket.remotePort === at.port;
      client.close();
      await close(one, { graceMs: 1_000 });
      const blocked = await listen(http.createServer(), { port, host: '127.0.0.1' }).catch((error) => error);
      const over = await listen(http.createServer(), { port, host: '127.0.0.1', busy: 'take-over' }).catch((error) => error);
      const reserved = await reserve({ host: '127.0.0.1' });
      const option = (() => { try { return getOption(one, 'SO_REUSEADDR'); } catch (error) { return error.name; } })();
      console.log(JSON.stringify({ text, connected, unset: at.unset.length, blocked: blocked.code, name: blocked.name, over: over.code, reserved: reserved.port > 0, option }));
      process.exit();`;
    const index = fileURLToPath(new URL('../../../dist/index.js', import.meta.url));
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', `--import=${elsewhere}`, '--input-type=module', '-e', program, index, String(server.port)],
      { encoding: 'utf8', timeout: 60_000 },
    );
    assert.deepEqual(
      JSON.parse(stdout || '{}'),
      {
        text: 'hello',
        connected: true,
        unset: 1,
        blocked: 'EADDRINUSE',
        name: 'BlockedPortError',
        over: 'EADDRINUSE',
        reserved: true,
        option: 'UnsupportedError',
      },
      stderr,
    );
  });
});

describe('on a system that provides nothing', () => {
  test('the library says that it cannot tell', async () => {
    const undo = useOs(stub);
    try {
      const report = await why({ port: 1, host: '127.0.0.1' });
      assert.deepEqual([report.bindable, report.verdict, report.blockers], [null, null, []]);
      assert.equal(report.gaps.length, 2);
      const freed = await free({ port: 1, host: '127.0.0.1' });
      assert.deepEqual([freed.bindable, freed.steps], [null, []]);
      const waited = await wait({ port: 1, host: '127.0.0.1' }, { timeoutMs: 0 });
      assert.deepEqual([waited.done, waited.failure], [false, 'unknown']);
      await assert.rejects(hold({ command: ['true'], port: 1, host: '127.0.0.1' } as never), { name: /Error/ });
    } finally {
      undo();
    }
  });

  test('the command leaves with 3 where it cannot tell, and with 4 where it can do nothing', async () => {
    const undo = useOs(stub);
    try {
      for (const [words, expected] of [
        [['why', '3000'], 3],
        [['free', '3000'], 3],
        [['wait', '--timeout', '1ms', '3000'], 3],
        [['ls'], 4],
        [['hold', '3000', '--', 'true'], 4],
      ] as const) {
        const { io, text } = recorded();
        assert.equal(await run(readLine(words), io), expected, `${words.join(' ')}: ${text()}`);
        assert.doesNotMatch(text(), /bug in rebind|^Free/);
      }
    } finally {
      undo();
    }
  });
});

/** Streams that keep what is written. */
function recorded(): { io: Io; text(): string } {
  let said = '';
  const stream = { write: (text: string) => (said += text) };
  const signal = new AbortController().signal;
  const io: Io = { stdout: stream, stderr: stream, isInteractive: false, env: {}, signal, now: () => Date.now() };
  return { io, text: () => said };
}
