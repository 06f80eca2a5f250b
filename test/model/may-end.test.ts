/** Whom free, hold and listen may ask to end: one table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Facts, Holder, Standing } from '../../src/model/facts.ts';
import { mayEnd } from '../../src/model/may-end.ts';
import { facts, holder, socket } from './facts.ts';

const mine: Standing = { session: 40, terminal: true, elsewhere: false, alsoListens: [] };
const inode = 7001;

/** What is said of a holder of a listener of port 3000, among others. */
function said(
  over: Partial<Holder>,
  standing: Partial<Standing> = {},
  world: { others?: Holder[]; facts?: Partial<Facts> } = {},
) {
  const one = holder(over);
  const read = facts({
    sockets: [socket({ inode })],
    holders: new Map([[inode, [one, ...(world.others ?? [])]]]),
    standings: new Map([
      [50, mine],
      [one.pid, { ...mine, ...standing }],
    ]),
    ...world.facts,
  });
  const verdict = mayEnd(one, read);
  return verdict.kind === 'yes' ? 'yes' : `${verdict.kind}: ${verdict.why}`;
}

const cases: [string, string, RegExp][] = [
  ['a server of ours', said({ accepts: true }), /^yes$/],
  ['a server of ours in another terminal', said({ accepts: true }, { session: 60 }), /^yes$/],
  ['this very process', said({ pid: 50 }), /^never: it is this very process$/],
  ['an ancestor', said({ pid: 49 }), /^never: this command runs inside it$/],
  ['process 1', said({ pid: 1 }), /^never: pid 1/],
  ['a thread of the kernel', said({ pid: 77, parents: [{ pid: 2, command: 'kthreadd' }] }), /^never: .*kernel/],
  [
    'a worker of ours that gave up rights',
    said(
      { pid: 78, accepts: true, uid: 33, user: 'www-data', parents: [{ pid: 77, command: 'nginx' }] },
      {},
      { others: [holder({ pid: 77 })] },
    ),
    /^yes$/,
  ],
  [
    'a program of another user below a server of ours, on a listener of its own',
    said(
      { pid: 78, accepts: true, uid: 33, user: 'www-data', parents: [{ pid: 77, command: 'jupyterhub' }] },
      {},
      {
        facts: {
          sockets: [socket({ inode }), socket({ inode: 7002 })],
          holders: new Map([
            [inode, [holder({ pid: 78, accepts: true, uid: 33, user: 'www-data' })]],
            [7002, [holder({ pid: 77 })]],
          ]),
        },
      },
    ),
    /^ask: it belongs to user www-data$/,
  ],
  [
    'a service of another user whose socket process 1 opened',
    said(
      { pid: 78, accepts: true, uid: 33, user: 'www-data', parents: [{ pid: 1, command: 'systemd' }] },
      {},
      { others: [holder({ pid: 1 })] },
    ),
    /^ask: it belongs to user www-data$/,
  ],
  ['kthreadd', said({ pid: 2, command: 'kthreadd', argv: [] }), /^never: .*kernel/],
  ['the second process of a container', said({ pid: 2, accepts: true }), /^yes$/],
  [
    'the server of another user',
    said({ accepts: true, uid: 33, user: 'www-data' }),
    /^ask: it belongs to user www-data$/,
  ],
  [
    'a server in a container',
    said({ accepts: true }, { elsewhere: true }),
    /^ask: it runs in another network namespace/,
  ],
  [
    'a program that inherited the socket',
    said({ accepts: false, command: 'vim' }),
    /^ask: it has the socket open without/,
  ],
  [
    'the resolver of the system, whose name the kernel cuts off',
    said({ accepts: true, command: 'systemd-resolve', argv: [] }),
    /^ask: it resolves host names for this system$/,
  ],
  [
    'a service with a title',
    said({ accepts: true, command: 'avahi-daemon', argv: ['avahi-daemon: running [host.local]'] }),
    /^ask: it answers mDNS for this system$/,
  ],
  ['a suspended server', said({ accepts: false, processState: 'T' }), /^yes$/],
  [
    'a server that was told the port and is busy',
    said({ accepts: false, argv: ['python3', '-m', 'uvicorn', '--port', '3000'] }),
    /^yes$/,
  ],
  [
    'a program that names the port for another one',
    said({ accepts: false, argv: ['sh', '-c', 'wait-for 3000'] }),
    /^ask: /,
  ],
  [
    'a server that is busy with a connection',
    said(
      { accepts: false },
      {},
      {
        facts: {
          sockets: [
            socket({ inode }),
            socket({
              inode: 7003,
              state: 'ESTABLISHED',
              remote: { address: '127.0.0.1', port: 40_000 },
              direction: 'incoming',
            }),
          ],
          holders: new Map([
            [inode, [holder({ accepts: false })]],
            [7003, [holder({ accepts: false })]],
          ]),
        },
      },
    ),
    /^yes$/,
  ],
  [
    'a master whose workers accept',
    said(
      { accepts: false },
      {},
      { others: [holder({ pid: 42, accepts: true, parents: [{ pid: 41, command: 'nginx' }] })] },
    ),
    /^yes$/,
  ],
  [
    'a worker that waits for its turn to accept',
    said(
      { accepts: false, parents: [{ pid: 30, command: 'apache2' }] },
      {},
      { others: [holder({ pid: 42, accepts: true, parents: [{ pid: 30, command: 'apache2' }] })] },
    ),
    /^yes$/,
  ],
  [
    'an editor in its own terminal, where it cannot be told who accepts',
    said({ accepts: null }, { session: 60 }),
    /^ask: it runs in another terminal/,
  ],
  ['the same without a terminal', said({ accepts: null }, { session: 60, terminal: false }), /^yes$/],
  [
    'a program that serves other ports, too',
    said({ accepts: true }, { alsoListens: [3001, 3002].map((port) => ({ address: '0.0.0.0', port })) }),
    /^ask: it also listens on 0\.0\.0\.0:3001 and 0\.0\.0\.0:3002$/,
  ],
  [
    'several doubts',
    said(
      { accepts: true, uid: 33, user: 'www-data' },
      { alsoListens: [1, 2, 3, 4, 5].map((port) => ({ address: '::', port })) },
    ),
    /^ask: it belongs to user www-data, and it also listens on \[::\]:1, \[::\]:2, \[::\]:3, \[::\]:4 and 1 more$/,
  ],
];

for (const [what, verdict, expected] of cases) test(`${what}: ${verdict}`, () => assert.match(verdict, expected));
