import type { AddressQuestion } from '../../model/reach/question.ts';
import { type Spoken, spokenBy, textOf } from '../../model/reach/sniff.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { change } from './shared/look.ts';
import { placeOf } from './shared/untaken.ts';

const called: Readonly<Record<Spoken, string>> = {
  http: 'HTTP',
  http2: 'HTTP/2 without TLS',
  tls: 'TLS',
  ssh: 'SSH',
  mysql: 'MySQL',
  redis: 'the protocol of Redis',
  'smtp-or-ftp': 'SMTP or FTP',
  postgres: 'PostgreSQL',
  amqp: 'AMQP',
  vnc: 'VNC',
};

/** The first bytes belong to another protocol than the one that was asked for. */
export default addressCause({
  id: 'wrong-protocol',
  title: 'The server speaks another protocol than the client',
  on: ['linux'],
  at: 'answer',
  page: {
    see: '`fetch failed` with `UND_ERR_SOCKET`, `HPE_INVALID_CONSTANT`, `ERR_SSL_WRONG_VERSION_NUMBER`, `EPROTO`, or an empty reply. The connection itself works.',
    why: 'The port belongs to something else than the URL says: `http://` for a server with TLS, `https://` for one without, HTTP/2 without TLS, a database. The first bytes of the answer tell.',
    now: 'Correct the scheme or the port. `https://` for TLS, `http://` without.',
    prevent: 'Keep scheme, host and port in one place, and redirect from the plain port to the secure one.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const connected = evidence?.connected;
    if (evidence === null || connected == null || !question.request) return null;
    const wanted = question.target.speaks === 'tls' ? 'tls' : 'http';
    const spoken = spokenIn(connected.request, connected.first) ?? (connected.tls === 'spoke' ? 'tls' : null);
    if (spoken === null || spoken === wanted) return null;
    return { endpoint: placeOf(evidence), spoken, wanted, url: urlOf(question, spoken) } as const;
  },
  say: ({ endpoint, spoken, wanted }) => `${endpoint} speaks ${called[spoken]}, and was asked with ${called[wanted]}`,
  remedies: ({ spoken, url }) => [
    change(
      'change-request',
      url === null ? `Use a client of ${called[spoken]}, or another port` : `Ask for ${url}`,
      null,
      { url },
    ),
  ],
  stages: [
    {
      title: 'a server without TLS is asked with https',
      needs: [],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.reached({
          words: [`https://127.0.0.1:${port}/`],
          description: `a Node server without TLS (pid ${pid}) listens on 127.0.0.1:${port}`,
          holders: [pid],
        });
      },
      expect: { reachable: false, remedies: ['change-request'] },
    },
    {
      title: 'a server with TLS is asked with http',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.nodeProgram(
          `require('node:tls').createServer((socket) => socket.end()).on('tlsClientError', () => {}).listen(${port}, '127.0.0.1', () => require('node:fs').writeSync(1, 'listening on port ${port}\\n'));
`,
        );
        return stage.reached({
          words: [`http://127.0.0.1:${port}/`],
          description: `a Node server with TLS (pid ${pid}) listens on 127.0.0.1:${port}`,
          holders: [pid],
        });
      },
      expect: { reachable: false, remedies: ['change-request'] },
    },
    {
      title: 'a server that greets as SSH does is asked with http',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.nodeProgram(
          `require('node:net').createServer((socket) => { socket.on('error', () => {}); socket.write('SSH-2.0-stage\\r\\n'); }).listen(${port}, '127.0.0.1', () => require('node:fs').writeSync(1, 'listening on port ${port}\\n'));
`,
        );
        return stage.reached({
          words: [`http://127.0.0.1:${port}/`],
          description: `a server (pid ${pid}) on 127.0.0.1:${port} greets as SSH does`,
          holders: [pid],
        });
      },
      expect: { reachable: false, remedies: ['change-request'] },
    },
  ],
});

function spokenIn(...replies: readonly ({ readonly kind: string; readonly bytes: string } | null)[]): Spoken | null {
  for (const reply of replies) if (reply?.kind === 'bytes') return spokenBy(textOf(reply.bytes).slice(0, 512));
  return null;
}

/** The same place with the scheme that fits; null where no URL does. */
function urlOf({ target }: AddressQuestion, spoken: Spoken): string | null {
  if (target.protocol === 'unix' || (spoken !== 'tls' && spoken !== 'http')) return null;
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${spoken === 'tls' ? 'https' : 'http'}://${host}:${target.port}/`;
}
