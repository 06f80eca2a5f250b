/** The JSON document of `reach`, from the parts that it shares with the others. */
import { places } from '../../src/model/reach/report.ts';
import { list, object, one, orNull, type Schema, text, whole } from './schema.ts';

interface Parts {
  readonly finding: Schema;
  readonly blocker: Schema;
  readonly remedy: Schema;
  readonly gap: Schema;
  readonly schemaNumber: Schema;
  readonly noError: Schema;
}

export function reachDocument({ finding, blocker, remedy, gap, schemaNumber, noError }: Parts): Schema {
  const described = (schema: Schema, description: string): Schema => ({ ...schema, description });
  const speaks = { description: 'What the scheme of a URL says; null without one.', enum: ['http', 'tls', null] };
  return object('What `rebind reach --json` prints.', {
    schema: schemaNumber,
    target: {
      description: 'What was asked about.',
      anyOf: [
        object('A host and a port.', {
          protocol: one('The protocol.', ['tcp', 'udp']),
          host: text('A host name or an address.'),
          port: whole('1 to 65535.'),
          speaks,
        }),
        object('A Unix socket.', {
          protocol: { const: 'unix', description: 'The protocol.' },
          path: text('The path; it begins with a NUL character in the abstract namespace.'),
          speaks,
        }),
      ],
    },
    reachable: {
      description:
        'True when a client gets through: it answers, or accepts where nothing was asked. Null when it could not be told.',
      type: ['boolean', 'null'],
    },
    errno: orNull(
      text('What a client gets, such as `ECONNREFUSED`; `ETIMEDOUT` stands for a hang. Null when reachable.'),
    ),
    verdict: orNull(
      described(
        finding,
        'The cause; null when clients get through and nothing is worth saying, and when the reason cannot be proved.',
      ),
    ),
    also: list('Other causes that apply too.', finding),
    failsAt: {
      description: 'Where the connection fails, as far as the verdict says; null without one.',
      enum: [...places, null],
    },
    addresses: list(
      'Each address of the target, in the order that Node tries them; at most eight.',
      object('An address.', {
        address: text('The address, or the path of a Unix socket.'),
        from: one('Where it came from.', ['hosts', 'dns', 'literal']),
        outcome: one(
          '`answered`: something came. `accepted`: the connection stood. `failed`: at once on this machine, or in another way.',
          ['answered', 'accepted', 'refused', 'no-answer', 'reset', 'failed', 'not-tried'],
        ),
        errno: orNull(text('What a client of this address gets; null when it gets through.')),
        elapsedMs: {
          description: 'How long the connection took, in milliseconds; null when it was not tried.',
          type: ['number', 'null'],
        },
        verdict: orNull(described(finding, 'The cause for this address alone.')),
        also: list('Other causes that apply to it too.', finding),
        evidence: list(
          'What was seen.',
          object('A fact.', {
            fact: text('Such as `out-not-transmitted`; more may be added.'),
            value: { description: 'The value.', type: ['string', 'number', 'boolean', 'null'] },
            source: text('Where it was read, such as `/proc/net/snmp`.'),
          }),
        ),
      }),
    ),
    listeners: list('The sockets of this machine that have the port or path.', blocker),
    plan: list('What would help, the gentlest first.', remedy),
    gaps: list('What could not be seen. An empty list means that everything was.', gap),
    error: noError,
  });
}
