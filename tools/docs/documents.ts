/**
 * The one description of every JSON document that the command prints. docs/json.md and docs/json/*.schema.json are
 * written from it, and tests hold real output against it.
 */
import { remedyIds } from '../../src/model/verdict.ts';
import { holdDocuments } from './hold-documents.ts';
import { reachDocument } from './reach-document.ts';
import { list, object, one, orNull, plain, type Schema, text, whole, yes } from './schema.ts';

const address = object('An address and a port.', {
  address: text('An IPv4 or IPv6 address; the path of a Unix socket.'),
  port: whole('0 to 65535; 0 for a Unix socket.'),
});

const described = (schema: Schema, description: string): Schema => ({ ...schema, description });

const schemaNumber: Schema = { description: 'The number of this layout.', const: 1 };
const noError: Schema = { description: 'Null: the question was answered.', type: 'null' };

const endpoint: Schema = {
  description: 'What was asked about, with host names and defaults resolved.',
  anyOf: [
    object('An internet endpoint.', {
      protocol: one('The protocol.', ['tcp', 'udp']),
      address: text('The address in its shortest spelling.'),
      port: whole('1 to 65535.'),
    }),
    object('A Unix socket.', {
      protocol: { const: 'unix', description: 'The protocol.' },
      path: text('The path; it begins with a NUL character in the abstract namespace.'),
    }),
  ],
};

const holder = object('A process that has the socket open.', {
  pid: whole('The process number.'),
  descriptors: list('Its descriptors of this socket, ascending.', whole('A descriptor.')),
  command: text("The kernel's name of the process, at most 15 bytes."),
  argv: list('Its command line; empty when it was not readable.', text('A word.')),
  cwd: orNull(text('Its working directory, null when it was not readable.')),
  user: text('The name of its user, or the number where it has no name.'),
  startedAt: text('When it was started, ISO 8601.'),
  parents: list(
    'Its parents, nearest first.',
    object('A parent.', { pid: whole('The process number.'), command: text('The name of the process.') }),
  ),
  unit: orNull(text('The systemd unit it runs in, such as `shop.service`.')),
  container: orNull(
    object('The container it runs in.', {
      id: text('The full id.'),
      name: orNull(text('The name, null when the runtime did not tell it.')),
      runtime: text('`docker`, `podman`, `containerd`, `crio`, `lxc`, `nspawn`, `kubernetes` or `unknown`.'),
    }),
  ),
  manager: orNull(
    object('What started it, and would start it again; null when nothing is known of that.', {
      kind: text(
        'Such as `systemd`, `docker`, `podman`, `pm2`, `supervisord`, `nodemon`, `node-watch`, `npm`, `ssh` or `hold`; more may be added.',
      ),
      name: orNull(text('The unit, container, application, script or user that it is known by.')),
      pid: orNull(whole("The manager's own process, where it can be seen.")),
      confirmed: yes(
        'True when the kernel, or the manager itself, says that it runs exactly this process; else it only looks so.',
      ),
    }),
  ),
});

const states = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'BOUND',
];

const finding = object('A cause that applies.', {
  cause: text('Its name; the page of that name explains it.'),
  sentence: text('One plain sentence. Text in it that came from other processes is not escaped.'),
  args: plain('The facts behind the sentence; they differ from cause to cause.'),
});

const gap = object('Something that could not be seen.', {
  what: text('What.'),
  why: text('The name of the error, such as `EACCES`, or a short reason.'),
  hint: text('What would show it.'),
});

const bindable = {
  description: 'True or false; null when it could not be told.',
  type: ['boolean', 'null'],
} satisfies Schema;

const options = object('The options of the planned bind.', {
  reuseAddress: yes('SO_REUSEADDR.'),
  reusePort: yes('SO_REUSEPORT.'),
  v6Only: yes('IPV6_V6ONLY.'),
  device: orNull(text('SO_BINDTODEVICE: an interface, or null for any.')),
});

const remedy = object('A remedy.', {
  remedy: one('What kind it is.', remedyIds),
  sentence: text('What it does, one sentence.'),
  command: orNull(text('A command to paste, null when it is something to change in a program.')),
  automatic: yes(
    'True when `rebind free` does it unasked: the processes belong to the user and the project of who asks, and no `--yes`, `--force`, `--timeout` or other rights are needed.',
  ),
  args: plain('The facts behind it; they differ from remedy to remedy.'),
});

const process = {
  pid: whole('The process number.'),
  command: text("The kernel's name of the process."),
  argv: list('Its command line.', text('A word.')),
};

const brokenOff = orNull(
  object('Null, unless interrupted before it was done; the other fields tell how far it came.', {
    kind: one('`interrupted`: Ctrl-C. `system`: a system call failed (exit 3).', ['interrupted', 'system']),
    message: text('One sentence.'),
  }),
);

const listedSocket = object('A TCP or UDP socket.', {
  protocol: one('The protocol.', ['tcp', 'udp']),
  state: one('`LISTEN`, or `BOUND` for bound and not listening; UDP sockets are `BOUND` or `ESTABLISHED`.', states),
  local: described(address, 'Its own address.'),
  uid: whole('The user who made it.'),
  inode: whole('Its inode number; 0 when no process has it open.'),
  device: orNull(text('The interface it is bound to, null for any.')),
  v6Only: orNull(yes('IPV6_V6ONLY; null when hidden.')),
  holders: list('Every process that has it open; empty when none was visible.', holder),
});

const listedUnixSocket = object('A Unix socket.', {
  protocol: one('The protocol.', ['unix']),
  type: one('Its type.', ['stream', 'datagram', 'seqpacket']),
  state: one('`LISTEN`, or `BOUND` for one that receives datagrams.', states),
  path: text('Its path; an abstract name begins with a NUL character.'),
  uid: whole('The user who made it; 0 also where the kernel does not show it.'),
  inode: whole('Its inode number.'),
  holders: list('Every process that has it open; empty when none was visible.', holder),
});

/** One document for one endpoint, and one with a list for several. */
function oneOrMore(description: string, fields: Readonly<Record<string, Schema>>, error: Schema): Schema {
  return {
    description,
    anyOf: [
      object('One endpoint.', { schema: schemaNumber, ...fields, error }),
      object('Several endpoints.', {
        schema: schemaNumber,
        results: list('One for each endpoint, in the order they were given.', object('An endpoint.', fields)),
        error,
      }),
    ],
  };
}

const blocker = object('A socket.', {
  protocol: one('The protocol.', ['tcp', 'udp', 'unix']),
  state: one("The state, as the kernel's headers spell it; `BOUND` is bound and not listening.", states),
  local: described(address, 'Its own address.'),
  remote: orNull(described(address, 'Its peer, null without one.')),
  uid: whole('The user who made it; 0 also where the kernel no longer knows.'),
  inode: whole('Its inode number; 0 when no process has it open.'),
  expiresInMs: orNull(whole('Milliseconds until it is gone by itself, null when it does not go by itself.')),
  certain: yes('False when an option of the socket that the system hides decides whether it blocks the port.'),
  holders: list('Every process that has it open.', holder),
});

/** What `why` reports about one endpoint. */
const explained = {
  endpoint,
  options,
  bindable,
  errno: orNull(text('What bind or listen would report, such as `EADDRINUSE`; null when bindable.')),
  verdict: orNull(described(finding, 'The cause; null when the port is bindable and nothing is worth saying.')),
  also: list('Other causes that apply too.', finding),
  blockers: list('The sockets that make the bind fail, the surest first.', blocker),
  plan: list('What would help: first what to try first, then the others, the gentlest first.', remedy),
  gaps: list('What could not be seen. An empty list means that everything was.', gap),
};

/** What `wait` reports about one endpoint. */
const awaited = {
  endpoint,
  options,
  for: one('What was waited for.', ['free', 'open']),
  done: yes('True when it came true.'),
  failure: orNull(text('`timeout`, `process-ended` or `other-process`; null when it came true.')),
  listeners: list('With `--for open`: who listens, as far as that can be seen.', object('A process.', process)),
  addresses: list('With `--for open`: where they listen, also those whose process cannot be seen.', address),
  elsewhere: list(
    'With `--for open`, when nothing listened there in time: other addresses of the same port on which the `listeners` do.',
    address,
  ),
  verdict: orNull(
    described(
      finding,
      'With `--for free`: why it is still blocked. With `--for open`: who has bound it and does not listen, or what else would stop a client, as `reach` says it. Else null.',
    ),
  ),
  gaps: list('What could not be seen.', gap),
  elapsedMs: whole('How long it took, in milliseconds.'),
};

/** What `free` tells about one endpoint. */
const freed = {
  endpoint,
  options,
  bindable,
  errno: orNull(text('What a bind would report now; null when bindable.')),
  verdict: orNull(
    described(finding, 'Why it was blocked when it is bindable now, else why it still is; null when it never was.'),
  ),
  blockers: list('The sockets that make the bind fail still; empty when bindable.', blocker),
  steps: list(
    'What was done, or with `--dry-run` what would be.',
    object('A step.', {
      remedy: one('What kind it is.', remedyIds),
      sentence: text('What it does, one sentence.'),
      target: {
        description: 'Whom or what it touches.',
        anyOf: [
          object('A process.', {
            kind: { const: 'process', description: '`process`, `manager`, `sockets` or `file`.' },
            pid: whole('The process number.'),
            command: text('Its name.'),
            user: text('Its user.'),
          }),
          object('What manages processes.', {
            kind: { const: 'manager', description: '' },
            manager: text('Such as `systemd` or `docker`.'),
            name: text('What the manager calls it.'),
            pids: list('Its processes.', whole('A process number.')),
          }),
          object('Sockets that nobody owns.', {
            kind: { const: 'sockets', description: '' },
            sockets: list('The sockets.', plain('A socket.')),
          }),
          object('A file.', { kind: { const: 'file', description: '' }, path: text('Its path.') }),
        ],
      },
      outcome: one('`skipped`: not needed, or only planned. `refused`: never tried.', [
        'done',
        'failed',
        'skipped',
        'refused',
      ]),
      why: orNull(text('The reason of everything but a plain `done`.')),
      doubt: orNull(text('Why somebody should say yes to it, or null.')),
      onlyIfNeeded: yes('True when a step before it may be enough; then it is left out.'),
    }),
  ),
  plan: list('What would help besides.', remedy),
  respawn: orNull(
    object('Who took the port again within two seconds, or null.', {
      pid: whole('The process number.'),
      command: text('Its name.'),
      supervisor: orNull(object('The process that starts it again, where that can be seen.', process)),
    }),
  ),
  gaps: list('What could not be seen.', gap),
  elapsedMs: whole('How long it took, in milliseconds.'),
};

/** The documents, by the command that prints them. */
export const documents: Readonly<Record<string, Schema>> = {
  why: oneOrMore(
    'What `rebind why --json` prints: for one endpoint its fields, for several a list of them.',
    explained,
    noError,
  ),
  free: oneOrMore(
    'What `rebind free --json` prints: for one endpoint its fields, for several a list of them.',
    freed,
    brokenOff,
  ),
  wait: oneOrMore(
    'What `rebind wait --json` prints: for one endpoint its fields, for several a list of them.',
    awaited,
    brokenOff,
  ),
  reach: reachDocument({ finding, blocker, remedy, gap, schemaNumber, noError }),
  ls: object('What `rebind ls --json` prints.', {
    schema: schemaNumber,
    sockets: list('TCP and UDP sockets that listen or are bound, by port.', listedSocket),
    unixSockets: list(
      'Unix sockets that listen or are bound, by path; empty unless they are asked for.',
      listedUnixSocket,
    ),
    gaps: list('What could not be seen.', gap),
    error: noError,
  }),
  'ls-watch': object('One line of `rebind ls --watch --json`.', {
    schema: schemaNumber,
    event: one('`added` also for each socket that is there at the beginning.', ['added', 'removed']),
    at: text('When it was seen, ISO 8601.'),
    socket: { description: 'The socket.', anyOf: [listedSocket, listedUnixSocket] },
  }),
  check: object('What `rebind check --json` prints.', {
    schema: schemaNumber,
    files: list(
      'Every file, in the order in which it was given.',
      object('A file.', {
        path: text('As it was given; of a directory, with the name of the file.'),
        kind: orNull(
          one('What it was read as; null when it is none of these, or could not be read.', [
            'Dockerfile',
            'Compose',
            'Kubernetes',
            'nginx',
            'HAProxy',
            'package.json',
          ]),
        ),
        findings: list(
          'What was found, by line.',
          object('A finding.', {
            rule: text('Its name, the same in every file, such as `script-as-pid-1`.'),
            line: whole('The line, from 1.'),
            level: one('`fault`: it happens as it is said; `note`: it depends on what the files do not show.', [
              'fault',
              'note',
            ]),
            sentence: text('What is wrong.'),
            reason: text('What happens because of it, with what was measured.'),
            fix: orNull(text('The line as it should be; null where only the author can know.')),
          }),
        ),
        gaps: list('What could not be judged, such as a part that another file has.', text('One part.')),
        problem: orNull(text('Why it was not checked, one sentence.')),
      }),
    ),
    error: noError,
  }),
  ...holdDocuments,
  error: object('What every command prints with `--json` when it could not answer.', {
    schema: schemaNumber,
    error: object('What went wrong.', {
      kind: one(
        '`usage`: the command line was wrong (exit 2). `system`: a system call failed (exit 3). `unsupported`: not on this platform (exit 4). `internal`: a bug in rebind (exit 3). `no-hold`: no hold of this user keeps the endpoint that `rebind hold --status`, `--restart` or `--stop` asked for (exit 1). `no-answer`: it does, and did not answer in time (exit 1).',
        ['usage', 'system', 'unsupported', 'internal', 'no-hold', 'no-answer'],
      ),
      message: text('One sentence.'),
    }),
  }),
};
