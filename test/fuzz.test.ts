/**
 * Ten thousand damaged inputs for every parser, from one seed; `npm run fuzz` tries a million from another one. What fuzzing found once is
 * below as an input of its own.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseInspect } from '../src/ask/managers/containers.ts';
import { instancesIn } from '../src/ask/managers/pm2.ts';
import { faultIn, responseIn } from '../src/ask/managers/supervisord.ts';
import { endpointsIn } from '../src/cli/typed.ts';
import { receivedDescriptors } from '../src/hold/wire/listen-fds.ts';
import { programName } from '../src/model/program.ts';
import { suspect } from '../src/model/suspect.ts';
import { parseRange } from '../src/os/linux/proc/settings.ts';
import { decodeValue } from '../src/os/options.ts';
import { parsers } from '../tools/fuzz/parsers.ts';
import { run } from '../tools/fuzz/run.ts';
import { facts, holder } from './model/facts.ts';

const seed = 20_261_125;
const inputs = 10_000;

describe('damaged input is read or refused as documented', () => {
  for (const parser of parsers)
    test(parser.name, () => {
      // Generous: another test may have the processor.
      assert.equal(
        run(parser, { seed, inputs, mostMs: 2_000 }),
        null,
        `npm run fuzz -- '${parser.name}' --seed ${seed}`,
      );
    });
});

describe('what fuzzing found', () => {
  for (const command of ['constructor', 'toString', 'valueOf', '__proto__'])
    test(`a process called ${command} is no container engine`, () => {
      assert.equal(
        suspect(holder({ command, argv: [command] }), facts().asker, () => `/tmp/${command}`),
        null,
      );
      assert.equal(
        suspect(holder({ command, argv: [command] }), facts().asker, () => null),
        null,
      );
    });

  test('the time for a title of a process grows with its length only', () => {
    const began = performance.now();
    programName({ command: 'x', argv: [`a${' '.repeat(65_000)}b`] });
    assert.ok(performance.now() - began < 500);
  });

  test('the time for an answer of supervisord grows with its length only', () => {
    const began = performance.now();
    assert.equal(faultIn('<fault>'.repeat(100_000)), null);
    assert.ok(performance.now() - began < 2_000);
  });

  test('a response whose head is no UTF-8 keeps the whole of its body', () => {
    const response = Buffer.concat([
      Buffer.from('HTTP/1.0 200 OK\r\nX: '),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('\r\n\r\nbody'),
    ]);
    assert.equal(responseIn(response, true), 'body');
  });

  test('LISTEN_FDS is a decimal number', () => {
    for (const text of ['\n3', '0x3', '3e0', ' 3', '-0'])
      assert.deepEqual(receivedDescriptors({ LISTEN_FDS: text, LISTEN_PID: String(process.pid) }), []);
  });

  test('numbers that are no ports and no processes are left out', () => {
    assert.equal(parseRange('32768\t65536'), null);
    assert.deepEqual(
      instancesIn([
        { pm_id: 0, name: 'a', pid: 1.5 },
        { pm_id: -1, name: 'a', pid: 1 },
      ]),
      [],
    );
    const ports = { '80/tcp': [{ HostIp: '', HostPort: '65536' }] };
    const [container] = parseInspect(
      JSON.stringify([{ Id: 'a'.repeat(64), Name: '/a', NetworkSettings: { Ports: ports } }]),
    );
    assert.deepEqual(container?.ports, []);
  });

  test('a short answer to getsockopt(2) is read with zeros', () => {
    assert.deepEqual(
      decodeValue('TCP_MAXSEG', Buffer.from([1, 1, 1])),
      decodeValue('TCP_MAXSEG', Buffer.from([1, 1, 1, 0])),
    );
  });

  test('a sentence about what was typed holds no control character', () => {
    assert.throws(
      () => endpointsIn(['3\u009b31m,,']),
      (error: Error) => !error.message.includes('\u009b'),
    );
  });
});

/** Readers of the system itself, and parts; the parser of what they read is in the table, or they are tested where they ask. */
const readersOfTheSystem: Readonly<Record<string, string>> = {
  'server/connect-options.ts readTarget': 'what a program passes to connect(), test/server/connect.cases.ts',
  'server/connect-options.ts readOptions': 'what a program passes to connect(), test/server/connect.cases.ts',
  'server/listen-plan.ts readPlan': 'takes a server, test/server/listen.cases.ts',
  'os/linux/proc/settings.ts readSettingsOf': 'asks sysctl: parseRange, parseRanges',
  'os/linux/netlink/addresses.ts readAddresses': 'opens a socket: addressesFrom',
  'os/linux/proc/environment.ts readVariable': 'splits at NUL bytes, and its caller checks the value: readPassed',
  'os/linux/proc/unix-file.ts readUnixFile': 'asks lstat(2) and statfs(2)',
  'os/linux/proc/unix-sockets.ts readProcNetUnix': 'reads a file: parseUnixTable',
  'os/linux/proc/proc-net.ts readProcNet': 'reads files: parseTable',
  'os/linux/proc/proc-addresses.ts readProcAddresses': 'reads files: parseFibTrie, parseRoutes, parseIfInet6',
  'os/linux/proc/stat.ts readStat': 'reads a file: parseStat',
  'os/linux/proc/cgroup.ts readCgroupPaths': 'reads a file: parseCgroupPaths',
  'os/linux/proc/unmapped.ts readUnmappedUid': 'reads files: isMapped',
  'os/linux/calls/hidden-flags.ts readFlags': 'asks getsockopt(2)',
  'os/linux/inet-sockets.ts readPort': 'asks netlink: readSockets',
  'os/linux/inet-sockets.ts readWaiting': 'asks netlink: readSockets',
  'os/linux/inet-sockets.ts readListeners': 'asks netlink: readSockets',
  'os/linux/inet-sockets.ts readUnlisted': 'asks netlink: readSockets',
  'server/close-options.ts readTimes': 'what a program passes to close(), test/server/close.cases.ts',
  'server/health-options.ts readHealth': 'what a program passes to health()',
  'hold/settings.ts readHeldEndpoint': 'parseEndpoint, which is in the table, reads it',
  'manifests/yaml-tree.ts readYaml':
    'a parser of others; damaged files are given to it in test/manifests/check-files.test.ts',
  'cli/run.ts readLine': 'what the user types into the command line itself, read by cli/args.ts, which is in the table',
  'reach/options.ts readPlan': 'what a program passes to reach()',
  'os/linux/asker.ts readAsker': 'reads /proc: parseStat, describeCgroups',
  'os/linux/asker.ts readPasswd': 'reads a file: parsePasswd',
  'os/linux/found-holders.ts readHolders': 'reads /proc: openDescriber, accepts',
  'os/linux/calls/error-queue.ts readRefusals': 'asks recvmsg(2): decodeRefusals',
  'os/linux/calls/legacy-rules.ts readLegacyTable': 'asks getsockopt(2): decodeEntries',
  'os/linux/reach/legacy-tables.ts readLegacy': 'asks getsockopt(2): decodeEntries',
  'os/linux/netlink/nftables.ts readChains': 'asks netlink: decodeChain',
  'os/linux/netlink/nftables.ts readRules': 'asks netlink: decodeRule',
  'os/linux/netlink/nftables.ts readElements': 'asks netlink: decodeElements',
  'os/linux/netlink/links.ts readLink': 'asks netlink: decodeLink',
  'os/linux/netlink/links.ts readLinks': 'asks netlink: decodeLink',
  'os/linux/netlink/measured.ts readMeasured': 'asks netlink: decodeMeasured',
  'os/linux/netlink/neighbours.ts readNeighbour': 'asks netlink: decodeNeighbour',
  'os/linux/netlink/routes.ts readWay': 'asks netlink: decodeWay',
  'os/linux/netlink/sock-diag.ts readTowards': 'asks netlink: decodeSocket',
  'os/linux/proc/counters.ts readCounters': 'reads files: parsePairs, parseList, parseProcessors',
  'os/linux/reach/before.ts readBefore': 'asks netlink: decodeWay, decodeLink, decodeNeighbour, decodeMeasured',
  'os/linux/reach/conditions.ts readConditions': 'reads /proc: limitOf, schedTimes, freezerPath',
  'os/linux/reach/connection.ts readReply': 'asks recv(2), and keeps the bytes as they are',
  'os/linux/reach/elsewhere.ts readElsewhere': 'reads files: parseTable, parseFibTrie, parseIfInet6',
  'os/linux/reach/redirects.ts readRedirects': 'asks netlink: decodeChain, decodeRule',
  'os/linux/reach/names.ts readNameFiles': 'reads files: parseHosts, parseResolv',
  'os/linux/standing.ts readStandings': 'reads /proc: parseStat',
  'os/darwin/settings.ts readSettings': 'asks sysctl for numbers',
  'os/darwin/unix-file.ts readUnixFile': 'asks lstat(2), and compares with what readUnixList read',
  'hold/wire/passed.ts endpointShape': 'a part of what readPassed and agentMessage read',
  'hold/wire/passed.ts passedSocketShape': 'a part of what readPassed and giveAnswer read',
  'hold/last-lines.ts readBack': 'keeps text, and escapes it by escapeText',
};

test('every parser is in the table of the fuzz, or has a reason', () => {
  const source = fileURLToPath(new URL('../../src/', import.meta.url));
  const declared = /^export (?:(?:async )?function ((?:parse|read|decode)(?:[A-Z]\w*)?)\(|const (\w+): Shape<)/gm;
  const names = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== join('hold', 'wire', 'shape.ts'))
    .flatMap((file) =>
      [...readFileSync(join(source, file), 'utf8').matchAll(declared)].map(
        ([, reader, shape]) => `${file.replaceAll('\\', '/')} ${reader ?? shape ?? ''}`,
      ),
    );
  assert.ok(names.length > 40, `${names.length} parsers were found`);
  const isKnown = (name: string): boolean =>
    Object.hasOwn(readersOfTheSystem, name) ||
    parsers.some((one) => one.name === name || one.name.startsWith(`${name} `));
  assert.deepEqual(
    names.filter((name) => !isKnown(name)),
    [],
  );
  assert.deepEqual(
    Object.keys(readersOfTheSystem).filter((name) => !names.includes(name)),
    [],
    'reasons for what is no more',
  );
});
