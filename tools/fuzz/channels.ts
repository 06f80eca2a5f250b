/**
 * What programs, holds and managers say to us.
 */
import { isDeepStrictEqual } from 'node:util';
import { parseInspect } from '../../src/ask/managers/containers.ts';
import { instancesIn, unpack } from '../../src/ask/managers/pm2.ts';
import { faultIn, programsIn, responseIn } from '../../src/ask/managers/supervisord.ts';
import { parseService, parseSockets } from '../../src/ask/managers/systemd.ts';
import { restartResult, statusAnswer, stopResult } from '../../src/hold/control-answers.ts';
import { readVariables } from '../../src/hold/notify.ts';
import { receivedDescriptors } from '../../src/hold/wire/listen-fds.ts';
import {
  type AgentMessage,
  agentMessage,
  askMessage,
  giveAnswer,
  heardMessage,
  holdMessage,
  leaseAnswer,
  line,
  readLines,
  servedAnswer,
} from '../../src/hold/wire/messages.ts';
import { passedVariable, readPassed } from '../../src/hold/wire/passed.ts';
import { readProgram } from '../../src/server/offer.ts';
import { must, ofBytes, ofMessage, ofText, ofValue, type Parser } from './parser.ts';
import { axon, faults, inspected, instances, programLists, responses, services, socketLists } from './samples.ts';

const endpoint = { protocol: 'tcp', address: '::', port: 3000 } as const;
const identity = '8:11419';
const passedSocket = {
  endpoint,
  identity,
  explicit: false,
  asked: { host: null, port: 3000 },
  v6Only: false,
  fileIdentity: '8:17',
};
const unixSocket = {
  endpoint: { protocol: 'unix', path: '/run/a.sock' } as const,
  identity,
  explicit: true,
  asked: null,
  v6Only: false,
};
const agentSamples: AgentMessage[] = [
  { kind: 'hello', token: 'a'.repeat(32), pid: 41, parent: 40, thread: 0, generation: 1, title: 'node server.js' },
  { kind: 'listening', identity, note: null, receiver: '@receiver' },
  { kind: 'ready' },
  { kind: 'unmanaged', endpoint, asked: { host: 'localhost', port: 0 }, descriptor: 17, identity },
  { kind: 'blocked', endpoint, code: 'EADDRINUSE' },
  { kind: 'failed', token: 'a', generation: 2, message: 'Error: no\n    at x' },
  { kind: 'stopped' },
  { kind: 'drained', counts: { finished: 1, idle: 2, killed: 0, handedOff: 3 } },
  { kind: 'give', token: 'a', identity, host: null, v6Only: true },
  { kind: 'lease', token: 'a', generation: 1, port: 3000 },
  { kind: 'find', token: 'a', generation: 1, host: '::', port: 0 },
  { kind: 'served', token: 'a', generation: 1, identity },
];
const passed = {
  version: 1,
  pid: 41,
  control: '/run/user/0/rebind/control',
  reference: identity,
  token: 'a'.repeat(32),
  generation: 1,
  readyBy: 'auto',
  backlog: 4096,
  copies: 1,
  learn: false,
  handOff: false,
  sockets: [passedSocket, unixSocket],
};
const time = '2026-11-25T12:00:00.000Z';
const live = { generation: 2, pid: 41, state: 'serving', startedAt: time, readyAfterMs: 12.5, readyBy: 'listening' };
const status = {
  schema: 1 as const,
  pid: 40,
  startedAt: time,
  command: ['node', 'server.js'],
  stopping: false,
  endpoints: [{ endpoint: '[::]:3000', waiting: 0, limit: 511 }],
  current: live,
  next: null,
  draining: [live],
  past: [
    {
      generation: 1,
      startedAt: time,
      endedAt: time,
      readyAfterMs: 3,
      outcome: 'retired' as const,
      why: null,
      counts: { finished: 1, idle: 2, killed: 0, handedOff: 3 },
    },
  ],
  faults: [{ sentence: 'a', times: 1, lastAt: time }],
};

/** Lines in pieces, as a connection brings them. */
function linesOf(text: string): { readonly fine: boolean; readonly values: unknown[] } {
  const values: unknown[] = [];
  const read = readLines((value) => values.push(value) < 1_000);
  const size = 1 + (text.length % 977);
  for (let at = 0; at < text.length; at += size)
    if (read(text.slice(at, at + size)) === null) return { fine: false, values };
  return { fine: true, values };
}

export const channelParsers: readonly Parser[] = [
  ofMessage('hold/wire/messages.ts agentMessage', agentSamples, agentMessage),
  ofMessage(
    'hold/wire/messages.ts holdMessage',
    [
      { kind: 'stop' },
      { kind: 'farewell', graceMs: 1, lingerMs: 2 },
      { kind: 'drain', graceMs: 10_000, lingerMs: 0.5, receivers: { [identity]: '@receiver' } },
    ],
    holdMessage,
  ),
  ofMessage(
    'hold/wire/messages.ts askMessage',
    [{ kind: 'status' }, { kind: 'restart' }, { kind: 'stop' }],
    askMessage,
  ),
  ofMessage(
    'hold/wire/messages.ts giveAnswer',
    [{ socket: passedSocket }, { socket: unixSocket }, { why: 'no' }],
    giveAnswer,
  ),
  ofMessage('hold/wire/messages.ts leaseAnswer', [{ port: 21_000 }, { port: null }], leaseAnswer),
  ofMessage('hold/wire/messages.ts servedAnswer', [{ served: true }, { served: false }], servedAnswer),
  ofMessage('hold/wire/messages.ts heardMessage', [{ heard: true, withinMs: 100 }], heardMessage),
  ofText(
    'hold/wire/messages.ts readLines',
    [agentSamples.map(line).join(''), line(status), '\n', '[1]\n"a"\n'],
    linesOf,
    {
      holds: ({ fine, values }, text) => {
        const whole = text.slice(0, text.lastIndexOf('\n') + 1);
        // A line that is no JSON ends the conversation; what was read before is what stands there.
        const parts = whole.split('\n').slice(0, values.length);
        must(
          isDeepStrictEqual(
            parts.map((part) => JSON.parse(part)),
            values,
          ),
          'is not what the lines say',
        );
        if (fine && text.length > 0) must(parts.length === whole.split('\n').length - 1, 'lacks a line');
      },
    },
  ),
  ofText('hold/wire/passed.ts readPassed', [JSON.stringify(passed)], (text) => readPassed({ [passedVariable]: text }), {
    most: 131_072,
    holds: (one) =>
      must(one === null || isDeepStrictEqual(readPassed({ [passedVariable]: JSON.stringify(one) }), one), 'changes'),
  }),
  ofValue('hold/wire/passed.ts readPassed of an object', [passed], (value) =>
    readPassed({ [passedVariable]: JSON.stringify(value) ?? '' }),
  ),
  ofText(
    'hold/wire/listen-fds.ts receivedDescriptors',
    ['3', '1'],
    (text) => receivedDescriptors({ LISTEN_FDS: text, LISTEN_PID: String(process.pid) }),
    {
      most: 131_072,
      holds: (fds, text) => {
        must(fds.length <= 1_024 && fds.every((fd) => fd >= 3), 'is no descriptor that was passed');
        must(fds.length === 0 || /^\d+$/.test(text), 'was read from what is no number');
      },
    },
  ),
  ofText(
    'hold/notify.ts readVariables',
    ['READY=1\nSTATUS=Serving on 3000\nMAINPID=41\n', 'WATCHDOG=1', 'RELOADING=1\nMONOTONIC_USEC=123'],
    readVariables,
    {
      most: 65_536,
      holds: (variables) => {
        must(variables.size <= 64, 'has too many variables');
        for (const [name, value] of variables)
          must(!/[\n=]/.test(name) && name !== '' && !value.includes('\n') && value.length <= 4_096, 'is no variable');
      },
    },
  ),
  ofMessage('hold/control-answers.ts statusAnswer', [status], statusAnswer),
  ofMessage(
    'hold/control-answers.ts restartResult',
    [
      { outcome: 'done', generation: 2, why: null },
      { outcome: 'refused', generation: null, why: 'It crashed' },
    ],
    restartResult,
  ),
  ofMessage('hold/control-answers.ts stopResult', [{ stopped: true }], stopResult),
  ofText(
    'server/offer.ts readProgram',
    ['{"executable":"/usr/bin/node","script":"/srv/a"}', 'null', '?'],
    readProgram,
    {
      holds: ({ executable, script }) =>
        must(
          [executable, script].every((one) => one === null || typeof one === 'string'),
          'is no program',
        ),
    },
  ),
  ofText('ask/managers/containers.ts parseInspect', inspected, parseInspect, {
    holds: (containers) => {
      for (const { id, name, pid, monitor, ports } of containers) {
        must(/^[0-9a-f]{64}$/.test(id) && /^[A-Za-z0-9][\w.-]*$/.test(name), 'has a name that an engine gives to none');
        must(pid >= 0 && monitor >= 0, 'has a number that is no process');
        must(
          ports.every(({ port }) => port >= 0 && port <= 65_535),
          'has a port that is none',
        );
      }
    },
  }),
  ofBytes('ask/managers/pm2.ts unpack', axon, unpack, { throws: (error) => error instanceof Error }),
  ofValue('ask/managers/pm2.ts instancesIn', instances, instancesIn, {
    holds: (all) =>
      must(
        all.every(({ id, pid }) => Number.isSafeInteger(id) && id >= 0 && Number.isSafeInteger(pid) && pid >= 0),
        'has a number that is none',
      ),
  }),
  ofBytes('ask/managers/supervisord.ts responseIn', responses, (bytes) => responseIn(bytes, true), {
    throws: (error) => error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError),
    holds: (body, bytes) => {
      const head = bytes.indexOf('\r\n\r\n');
      must(body === null || body === bytes.subarray(head + 4).toString('utf8'), 'is not what follows the head');
    },
  }),
  ofText('ask/managers/supervisord.ts programsIn', programLists, programsIn, {
    holds: (all) =>
      must(
        all.every(({ pid }) => Number.isSafeInteger(pid) && pid > 0),
        'has a number that is no process',
      ),
  }),
  ofText('ask/managers/supervisord.ts faultIn', [...faults, ...programLists], faultIn),
  ofText('ask/managers/systemd.ts parseService', services, parseService, {
    holds: ({ main, triggers }) => {
      must(Number.isSafeInteger(main) && main >= 0, 'has a number that is no process');
      must(
        triggers.every((unit) => /^[^\s*?[/]+\.socket$/.test(unit)),
        'has a unit that systemctl would expand',
      );
    },
  }),
  ofText('ask/managers/systemd.ts parseSockets', socketLists, parseSockets, {
    holds: (all) =>
      must(
        all.every(({ unit }) => /^[^\s*?[/]+\.(socket|service)$/.test(unit)),
        'has a unit that systemctl would expand',
      ),
  }),
];
