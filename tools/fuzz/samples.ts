/**
 * What parsers are really given, to be damaged: recorded from a kernel and from managers, or written down from their documents.
 */
import { encodeAttribute } from '../../src/os/linux/netlink/attributes.ts';
import { message, readRecording } from '../../test/os/linux/recording.ts';

const recording = readRecording('6.18.44-x64.json');
export const { port } = recording;

/** Recorded files whose path ends so. */
export function recorded(end: string): string[] {
  return Object.entries(recording.proc).flatMap(([path, content]) =>
    typeof content === 'string' && path.endsWith(end) ? [content] : [],
  );
}
export const recordedBytes = (end: string): Buffer[] => recorded(end).map((text) => Buffer.from(text, 'latin1'));

/** Recorded answers to the questions whose bytes have these of the request at 4: its type, and at 16 its family. */
function conversations(type: number, family?: number): Buffer[] {
  return Object.entries(recording.conversations).flatMap(([request, answers]) => {
    const bytes = Buffer.from(request, 'hex');
    const fits = bytes.readUInt16LE(4) === type && (family === undefined || bytes[16] === family);
    return fits ? [Buffer.concat(answers.map((hex) => Buffer.from(hex, 'hex')))] : [];
  });
}

/** The bodies of the messages in an answer. */
function bodiesIn(answers: readonly Buffer[]): Buffer[] {
  const bodies: Buffer[] = [];
  for (const bytes of answers) {
    for (let at = 0; at + 16 <= bytes.length; at += (bytes.readUInt32LE(at) + 3) & ~3)
      if (bytes.readUInt16LE(at + 4) > 4) bodies.push(bytes.subarray(at + 16, at + bytes.readUInt32LE(at)));
  }
  return bodies;
}

export const inetAnswers = [...conversations(18), ...conversations(20, 2), ...conversations(20, 10)];
export const unixAnswers = conversations(20, 1);
export const inetBodies = bodiesIn(inetAnswers);
export const unixBodies = bodiesIn(unixAnswers);

const ifaddrmsg = (family: number, flags: number): Buffer => Buffer.from([family, 24, flags, 0, 1, 0, 0, 0]);
const addressBodies = [
  Buffer.concat([
    ifaddrmsg(2, 0x80),
    encodeAttribute(1, Buffer.from([127, 0, 0, 1])),
    encodeAttribute(2, Buffer.from([127, 0, 0, 1])),
  ]),
  Buffer.concat([ifaddrmsg(10, 0x40), encodeAttribute(1, Buffer.from('fe800000000000000000000000000007', 'hex'))]),
];
export const addressAnswers = [
  Buffer.concat([...addressBodies.map((body) => message(20, 2, 0, body)), message(3, 2, 0, Buffer.alloc(4))]),
];

/** Answers to SOCK_DESTROY: done, and errnos. */
export const destroyAnswers = [0, -1, -2, -95].map((errno) => {
  const body = Buffer.alloc(20);
  body.writeInt32LE(errno);
  return message(2, 0, 0, body);
});

export const sockaddrs = [
  Buffer.from('02000bb87f00000100000000000000000000000000000000', 'hex'),
  Buffer.from('0a000bb80000000000000000000000000000000000000001', 'hex'),
  Buffer.from('0a000bb800000000fe80000000000000000000000000000701000000', 'hex'),
  Buffer.concat([Buffer.from([1, 0]), Buffer.from('/run/app.sock\0')]),
  Buffer.concat([Buffer.from([1, 0]), Buffer.from('\0abstract')]),
].map((bytes) => Buffer.concat([bytes, Buffer.alloc(128 - bytes.length)]));

/** Control messages: three descriptors, credentials (cmsg(3)). */
export const controls = [
  Buffer.from('1c000000000000000100000001000000050000000600000007000000', 'hex'),
  Buffer.from('1c0000000000000001000000020000002900000000000000e8030000', 'hex'),
].map((bytes) => Buffer.concat([bytes, Buffer.alloc(4)]));

export const inotify = [
  Buffer.from(`01000000000100000000000010000000${Buffer.from('server.js').toString('hex').padEnd(32, '0')}`, 'hex'),
  Buffer.from('ffffffff004000000000000000000000', 'hex'),
  Buffer.from('02000000008000000000000000000000', 'hex'),
];

const id = 'c0ffee'.repeat(10).padEnd(64, '0');
export const cgroups = [
  '0::/system.slice/nginx.service\n',
  `0::/system.slice/docker-${id}.scope\n`,
  '0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service\n',
  `12:cpu,cpuacct:/docker/${id}\n1:name=systemd:/docker/${id}\n0::/\n`,
  `0::/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-${id}.scope\n`,
  '0::/machine.slice/systemd-nspawn@web\\x2d1.service/payload/system.slice/a.service\n',
  '0::/lxc.payload.web/init.scope\n',
];
export const mountinfo = [
  '24 30 0:22 / /proc rw,nosuid shared:12 - proc proc rw,hidepid=invisible\n30 1 8:1 / / rw - ext4 /dev/sda1 rw\n',
  '35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n36 24 0:31 / /with\\040blank rw - cgroup2 c rw\n',
];
export const fdinfo = [
  'pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1057\ntfd:       17 events:       19 data:   500000011  pos:0 ino:2c9b sdev:8\n',
];
export const fibTrie = [
  'Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n        |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 192.0.2.7\n        /32 host LOCAL\n',
];
export const routes = [
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n',
];
export const ifInet6 = [
  '00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000000000000000007 02 40 20 c0     eth0\n',
];

export const endpoints = [
  '3000',
  ':3000',
  '*:3000',
  '127.0.0.1:3000',
  '[::1]:3000',
  '[fe80::1%eth0]:3000',
  '[::ffff:192.0.2.1]:80',
  'localhost:3000',
  'tcp/3000',
  'udp/53',
  'udp/[::]:53',
  './app.sock',
  '/run/app.sock',
  'unix:/run/app.sock',
  'unix:@shop',
  '3000-3010',
  '3000,3001',
  'udp/127.0.0.1:50-60',
  'http://localhost:3000/a?b#c',
  'https://[::1]/',
  'postgres://u:p@db.example:5433/x',
  'ssh',
  '53/udp',
  'tcp:3000',
  'example.com',
];

/** Command lines of this command. */
export const ours: readonly (readonly string[])[] = [
  ['3000'],
  ['why', '3000', '--json', '--reuse-port'],
  ['why', '--no-reuse-address', '--device', 'eth0', 'udp/53'],
  ['free', '3000', '3001', '--force', '--dry-run', '--grace', '10s'],
  ['wait', '3000', '--for', 'open', '--timeout=1.5m'],
  ['hold', '3000', '--ready-timeout', '5s', '--', 'node', 'server.js', '--port', '3000'],
  ['hold', '--status', '3000'],
  ['hold', '3000', 'node', 'server.js'],
  ['hold', '3000', '--', 'npm run start'],
  ['ls', '--watch', 'node'],
  ['demo', 'time-wait'],
  ['completion', 'bash'],
  ['help', 'hold'],
  ['--help'],
  ['kill', '-9', '3000'],
  ['-v'],
  ['--version'],
  ['version'],
];

/** Command lines of other processes. */
export const theirs: readonly (readonly string[])[] = [
  ['node', '--require', './a.js', '/srv/shop/node_modules/.bin/vite', '--host', '--port=3000'],
  ['node', '--watch', 'server.js'],
  ['/usr/bin/node', '/srv/node_modules/tsx/dist/cli.mjs', 'watch', 'a.ts'],
  ['nginx: master process /usr/sbin/nginx -c /etc/nginx/nginx.conf'],
  ['python3', '-m', 'http.server', '8000'],
  ['PM2 v7.0.4: God Daemon (/root/.pm2)'],
  ['npm run dev'],
  ['sh', '-c', 'while true; do node server.js; done'],
  ['rebind', 'hold', '3000', '--', 'node', 'server.js'],
  ['/usr/bin/docker-proxy', '-proto', 'tcp', '-host-port', '8080'],
  ['sshd-session: ann@pts/0'],
  ['/lib/systemd/systemd', '--user'],
  ['postgres: writer process  '],
  ['constructor'],
];

export const inspected = [
  JSON.stringify([
    {
      Id: id,
      Name: '/shop-db',
      State: { Pid: 41, ConmonPid: 40, Paused: false, Status: 'running' },
      NetworkSettings: { Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '53/udp': null } },
      Pod: id,
      IsInfra: true,
    },
  ]),
];
export const instances = [[{ pm_id: 0, name: 'shop', pid: 41, pm2_env: { exec_mode: 'cluster_mode' } }]];

const packed = `j:${JSON.stringify({ args: [instances[0]] })}`;
export const axon = [Buffer.concat([Buffer.from([0x11, 0, 0, 0, packed.length]), Buffer.from(packed)])];

const xml = (inner: string): string => `<?xml version='1.0'?>\n<methodResponse>\n${inner}</methodResponse>\n`;
const member = (name: string, value: string): string =>
  `<member>\n<name>${name}</name>\n<value>${value}</value>\n</member>\n`;
export const programLists = [
  xml(
    `<params>\n<param>\n<value><array><data>\n<value><struct>\n${member('name', '<string>web &amp; co</string>')}${member('group', '<string>shop</string>')}${member('pid', '<int>41</int>')}</struct></value>\n</data></array></value>\n</param>\n</params>\n`,
  ),
];
export const faults = [
  xml(
    `<fault>\n<value><struct>\n${member('faultCode', '<int>70</int>')}${member('faultString', '<string>NOT_RUNNING: web</string>')}</struct></value>\n</fault>\n`,
  ),
];
export const responses = [...programLists, ...faults].map((body) =>
  Buffer.from(`HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`),
);
export const services = [
  'Id=nginx.service\nControlGroup=/system.slice/nginx.service\nMainPID=41\nTriggeredBy=nginx.socket web.socket\n',
];
export const socketLists = [
  '/run/dbus/system_bus_socket Stream dbus.socket dbus.service\n[::]:22 Stream ssh.socket ssh.service\n127.0.0.1:53 Datagram dns.socket dns.service\n',
];
