/** What `rebind check` says of files: a table of what is wrong and of what is right, and of what cannot be read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkFiles, type FileReport } from '../../src/manifests/check-files.ts';

async function one(path: string, text: string): Promise<FileReport> {
  const [report] = await checkFiles([{ path, text }]);
  assert.ok(report !== undefined);
  return report;
}

/** `rule:line`, in order. */
async function found(path: string, text: string): Promise<string[]> {
  const { findings, problem } = await one(path, text);
  assert.equal(problem, null);
  return findings.map(({ rule, line }) => `${rule}:${line}`);
}

const dockerfile = (...lines: string[]): string => ['FROM node:22', ...lines].join('\n');

describe('a Dockerfile', () => {
  const rows: readonly (readonly [what: string, text: string, expected: readonly string[]])[] = [
    ['npm start', dockerfile('CMD ["npm","start"]'), ['script-as-pid-1:2']],
    ['npx', dockerfile('CMD ["npx","serve"]'), ['script-as-pid-1:2']],
    ['pnpm behind exec', dockerfile('CMD exec pnpm start'), ['script-as-pid-1:2']],
    ['node --run', dockerfile('CMD ["node","--run","start"]'), ['script-as-pid-1:2']],
    [
      'yarn behind tini',
      dockerfile('ENTRYPOINT ["/sbin/tini","-g","--"]', 'CMD ["yarn","start"]'),
      ['init-before-script:2'],
    ],
    ['a shell', dockerfile('CMD node server.js'), ['shell-as-pid-1:2']],
    ['a shell that is asked for', dockerfile('CMD ["sh","-c","node server.js"]'), ['shell-as-pid-1:2']],
    ['a list of commands', dockerfile('CMD npm run migrate && node server.js'), ['shell-as-pid-1:2']],
    ['quotes that are no JSON', dockerfile("CMD ['node','server.js']"), ['exec-form-is-no-json:2', 'shell-as-pid-1:2']],
    ['SIGKILL', dockerfile('STOPSIGNAL SIGKILL', 'CMD ["node","."]'), ['stopped-by-kill:2']],
    ['nodemon', dockerfile('CMD ["npx","nodemon","server.js"]'), ['watcher-in-production:2']],
    ['loopback', dockerfile('EXPOSE 3000', 'CMD ["node",".","--host=127.0.0.1"]'), ['loopback-in-container:3']],
    [
      'loopback in a variable',
      dockerfile('ENV PORT=1 HOST="localhost"', 'CMD ["node","."]'),
      ['loopback-in-container:2'],
    ],
    ['node', dockerfile('CMD ["node","server.js"]'), []],
    ['exec', dockerfile('CMD exec node server.js'), []],
    ['tini before node', dockerfile('ENTRYPOINT ["tini","--","node"]', 'CMD ["server.js"]'), []],
    ['bash, which is replaced', dockerfile('CMD ["bash","-c","node server.js"]'), []],
    ['hold before npm', dockerfile('ENTRYPOINT ["rebind","hold","3000","--"]', 'CMD ["npm","start"]'), []],
    ['npm where sh is busybox', 'FROM node:22-alpine\nCMD ["npm","start"]', []],
    ['an earlier stage', 'FROM node:22 AS build\nCMD npm test\nFROM node:22\nCMD ["node","."]', []],
    ['a stage of its own', 'FROM node:22 AS base\nCMD ["npm","start"]\nFROM base', ['script-as-pid-1:2']],
    ['the last of several', dockerfile('CMD ["npm","start"]', 'CMD ["node","."]'), []],
    [
      'a comment, a continuation and a here-document',
      dockerfile(
        '# CMD npm start',
        'RUN <<EOF',
        'CMD npm start',
        'EOF',
        'CMD ["node", \\',
        '# or not',
        '  "server.js"]',
      ),
      [],
    ],
  ];
  for (const [what, text, expected] of rows)
    test(what, async () => assert.deepEqual(await found('Dockerfile', text), expected));

  test('the corrected lines are found right themselves', async () => {
    for (const line of [
      'CMD ["npm","start"]',
      'CMD node server.js',
      'CMD a && node b',
      'CMD ["sh","-c","a; node b"]',
      "CMD ['yarn', 'x']",
      'CMD ["sh","-c","npm start"]',
      'CMD ["sh","-c","a\\nnode b"]',
    ]) {
      const { findings } = await one('Dockerfile', dockerfile(line));
      assert.ok(findings.length > 0, line);
      const { fix } = findings.find((finding) => finding.fix !== null) ?? {};
      assert.deepEqual(await found('app.dockerfile', dockerfile(fix ?? '')), [], `${line} became ${fix}`);
    }
  });
});

test('no line is offered where exec has no plain place', async () => {
  for (const line of [
    'CMD PORT=80 node server.js | tee log',
    'CMD if true; then node .; fi',
    'CMD node -e "a; b"',
    'CMD ["node", "server.js"',
    'CMD [node, server.js]',
  ]) {
    const { findings } = await one('Dockerfile', dockerfile(line));
    assert.ok(findings.length > 0, line);
    assert.ok(
      findings.every(({ fix }) => fix === null),
      line,
    );
  }
});

describe('a Compose file', () => {
  const service = (...lines: string[]): string =>
    ['services:', '  web:', ...lines.map((line) => `    ${line}`)].join('\n');
  const rows: readonly (readonly [what: string, text: string, expected: readonly string[]])[] = [
    ['npm', service('command: npm start'), ['script-as-pid-1:3']],
    [
      'loopback between quotes',
      service('ports: ["3000:3000"]', `command: sh -c "exec node . --host 127.0.0.1"`),
      ['loopback-in-container:4'],
    ],
    ['npm behind an init', service('init: true', 'command: ["npm", "start"]'), ['init-before-script:4']],
    ['two lines of a shell', service('command: ["sh", "-c", "sleep 1; node ."]'), ['shell-as-pid-1:3']],
    ['loopback', service('ports: ["3000:3000"]', 'environment:', '  - HOST=127.0.0.1'), ['loopback-in-container:5']],
    ['loopback without a port', service('environment: { HOST: 127.0.0.1 }'), []],
    [
      'the network of the machine',
      service('network_mode: host', 'ports: ["1:1"]', 'environment: { HOST: localhost }'),
      [],
    ],
    ['SIGKILL', service('stop_signal: SIGKILL'), ['stopped-by-kill:3']],
    [
      'too little grace',
      service('stop_grace_period: 5s', 'command: [rebind, hold, "3000", --lame-duck, 5s, --, node, .]'),
      ['grace-too-short:3'],
    ],
    [
      'enough grace',
      service('stop_grace_period: 1m30s', 'command: [rebind, hold, "3000", --lame-duck=5s, --, node, .]'),
      [],
    ],
    ['one port twice', 'services:\n  a: { ports: ["80:1"] }\n  b:\n    ports:\n      - "80:2"', ['published-twice:5']],
    [
      'one port on two addresses',
      'services:\n  a: { ports: ["127.0.0.1:80:1"] }\n  b: { ports: ["10.0.0.1:80:2"] }',
      [],
    ],
    ['an anchor', 'x-a: &a\n  command: npm start\nservices:\n  web:\n    <<: *a', ['script-as-pid-1:2']],
  ];
  for (const [what, text, expected] of rows)
    test(what, async () => assert.deepEqual(await found('compose.yaml', text), expected));
});

test('a command of Compose is corrected with the words that its quotes make', async () => {
  const { findings } = await one('compose.yaml', `services:\n  web:\n    command: sh -c 'a && node "x y"'`);
  assert.equal(findings[0]?.fix, 'command: ["sh","-c","a && exec node \\"x y\\""]');
});

describe('a Kubernetes manifest', () => {
  const pod = (container: string, more = ''): string =>
    `apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: web\n      readinessProbe: { httpGet: { path: /readyz, port: 1 } }\n      lifecycle: { preStop: { sleep: { seconds: 2 } } }\n      ports: [{ containerPort: 3000 }]\n${container}${more}`;
  const rows: readonly (readonly [what: string, text: string, expected: readonly string[]])[] = [
    ['as it should be', pod('      command: [node, .]\n'), []],
    ['args alone', pod('      args: [npm, start]\n'), ['script-as-pid-1:9']],
    ['a sleep as long as the grace', pod('', '  terminationGracePeriodSeconds: 2\n'), ['grace-too-short:9']],
    ['loopback', pod('      env: [{ name: HOST, value: "127.0.0.1" }]\n'), ['loopback-in-container:9']],
    [
      'liveness that asks for readiness',
      pod('      livenessProbe: { httpGet: { path: /readyz, port: 1 } }\n'),
      ['liveness-is-readiness:9'],
    ],
    ['two documents', `${pod('')}---\napiVersion: v1\nkind: Service\n`, []],
    [
      'a sleep in a shell',
      'kind: Pod\nspec:\n  containers:\n    - name: a\n      lifecycle: { preStop: { exec: { command: [sh, -c, "sleep 40"] } } }',
      ['grace-too-short:5'],
    ],
    [
      'bare',
      'kind: Pod\nspec:\n  containers:\n    - ports: [{ containerPort: 1 }]',
      ['no-readiness:4', 'no-lame-duck:4'],
    ],
  ];
  for (const [what, text, expected] of rows)
    test(what, async () => assert.deepEqual(await found('pod.yaml', text), expected));

  test('a template is read as far as it shows, and says so', async () => {
    const text = pod('      image: {{ .Values.image }}\n{{- if .Values.npm }}\n      args: [npm, start]\n{{- end }}\n');
    const { findings, gaps, problem } = await one('pod.yaml', text);
    assert.equal(problem, null);
    assert.deepEqual(
      findings.map(({ rule }) => rule),
      ['script-as-pid-1'],
    );
    assert.deepEqual(gaps, ['what stands between {{ and }}']);
  });
});

describe('a load balancer', () => {
  test('nginx: a pool whose members are taken out one after the other', async () => {
    const pool = (more: string): string => `upstream shop {\n  server a:1${more}; # a\n  server "b:1"${more};\n}\n`;
    assert.deepEqual(await found('nginx.conf', pool('')), ['nginx-fails-the-pool:2', 'nginx-fails-the-pool:3']);
    assert.deepEqual(await found('nginx.conf', pool(' max_fails=0')), []);
    assert.deepEqual(await found('nginx.conf', 'upstream shop { server a:1; server b:1 backup; }'), []);
    assert.deepEqual(await found('nginx.conf', 'server { location / { proxy_next_upstream off; } }'), [
      'nginx-asks-no-other:1',
    ]);
  });

  test('HAProxy: who is not asked, and a lame duck of another file that is too short', async () => {
    const config =
      'defaults\n  option redispatch 1\nbackend shop\n  server a x:1 check inter 2s fall 3\n  server b y:1';
    assert.deepEqual(await found('haproxy.cfg', config), ['haproxy-does-not-ask:5']);
    const held = (time: string) => ({
      path: 'Dockerfile',
      text: dockerfile(`ENTRYPOINT ["rebind","hold","3000","--lame-duck","${time}","--","node","."]`),
    });
    const asked = { path: 'haproxy.cfg', text: config.replace('y:1', 'y:1 check') };
    const rules = async (time: string): Promise<string[]> =>
      (await checkFiles([held(time), asked])).flatMap(({ findings }) => findings.map(({ rule }) => rule));
    assert.deepEqual(await rules('5s'), ['lame-duck-too-short']);
    assert.deepEqual(await rules('6s'), []);
    const agent = { ...asked, text: asked.text.replaceAll('check', 'check agent-check agent-inter 500ms') };
    assert.deepEqual(
      (await checkFiles([held('1s'), agent])).flatMap(({ findings }) => findings),
      [],
    );
  });
});

describe('a package.json', () => {
  const scripts = (text: string): string => `{\n  "scripts": {\n    ${text}\n  }\n}`;
  test('what kills by port, watches in production, or stands between npm and the server', async () => {
    assert.deepEqual(await found('package.json', scripts('"prestart": "npx kill-port 3000"')), ['kills-by-port:3']);
    assert.deepEqual(await found('package.json', scripts('"stop": "lsof -ti:3000 | xargs kill -9"')), [
      'kills-by-port:3',
    ]);
    assert.deepEqual(await found('package.json', scripts('"start": "nodemon ."')), ['watcher-in-production:3']);
    assert.deepEqual(await found('package.json', scripts('"start": "tsc && node ."')), ['script-keeps-the-signal:3']);
    assert.deepEqual(await found('package.json', scripts('"dev": "nodemon .", "start": "node ."')), []);
  });
});

describe('what cannot be read', () => {
  const rows: readonly (readonly [path: string, text: string, problem: RegExp])[] = [
    ['Dockerfile', 'RUN ls', /no FROM/],
    ['package.json', '{', /no JSON/],
    ['package.json', '[]', /no object/],
    ['compose.yaml', 'services:\n  a: [', /no YAML.*line/],
    ['compose.yaml', 'services:\n', /no services/],
    ['deploy.yml', 'a: 1', /no kind/],
    ['chart.yaml', 'kind: {{ .x }\n {{- range }}\n- a: {{', /templates hide/],
    ['notes.txt', 'hello', /no kind that is known/],
    ['pod.yaml', 'x'.repeat(1_000_001), /at most/],
    ['pod.yaml', 'a\0', /no text/],
  ];
  for (const [path, text, problem] of rows)
    test(`${path}: ${String(problem)}`, async () => assert.match((await one(path, text)).problem ?? '', problem));

  test('anchors that multiply, and one that contains itself, end at once', async () => {
    const bomb = [
      'a0: &a0 {x: 1}',
      ...Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} {<<: *a${n}, b: *a${n}, c: *a${n}}`),
    ];
    const start = performance.now();
    assert.deepEqual(await found('compose.yaml', `${bomb.join('\n')}\nservices:\n  web: *a30`), []);
    assert.deepEqual(await found('compose.yaml', 'services:\n  web: &w\n    <<: *w\n    command: npm start'), [
      'script-as-pid-1:4',
    ]);
    assert.ok(performance.now() - start < 20_000);
  });

  test('what repeats a hundred thousand times is read in time and memory that grow with it', async () => {
    const start = performance.now();
    const heap = process.memoryUsage().heapUsed;
    await found('nginx.conf', 'http {'.repeat(100_000));
    await found('Dockerfile', `FROM a\n${Array.from({ length: 60_000 }, (_, n) => `RUN <<E${n}`).join('\n')}`);
    for (const bit of ['{{', '}}', '&& '])
      await assert.rejects(found('compose.yaml', `services:\n  a:\n    command: ${bit.repeat(200_000 / bit.length)}`));
    assert.ok(process.memoryUsage().heapUsed - heap < 2 ** 30);
    assert.ok(performance.now() - start < 20_000);
  });

  test('no damage of a file ends it with anything but a finding or a sentence', async () => {
    const texts: readonly (readonly [string, string])[] = [
      ['Dockerfile', dockerfile('ENV A=1', 'RUN <<X', 'X', 'ENTRYPOINT ["tini","--"]', 'CMD ["npm","start"]')],
      ['compose.yaml', 'services:\n  a: &b\n    command: ["sh","-c","x"]\n    ports: ["1:2"]\n  c: *b'],
      ['pod.yaml', 'kind: Pod\nspec: {containers: [{name: a, ports: [{containerPort: 1}], command: [npm]}]}'],
      ['nginx.conf', 'upstream "a b" { server x:1 max_fails=0; } # }'],
      ['haproxy.cfg', 'defaults\nbackend a\n server a x:1 check inter 1s fall x'],
      ['package.json', '{"scripts":{"start":"a && node b"}}'],
    ];
    // A generator of its own with a fixed beginning: the same inputs at every run.
    let state = 20_261_126;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state % below;
    };
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ':',
      '- ',
      '\n',
      '"',
      "'",
      '*a',
      '&a',
      '<<',
      '{{',
      '#',
      '\\',
      '\t',
      '\u{1f600}',
      '$',
      '|',
      '',
    ];
    for (const [path, text] of texts)
      for (let round = 0; round < 300; round++) {
        const at = random(text.length);
        const damaged = text.slice(0, at) + pieces[random(pieces.length)] + text.slice(at + random(4));
        const [report] = await checkFiles([{ path, text: damaged }]);
        assert.ok(report !== undefined && (report.problem === null || report.problem.length > 0), damaged);
      }
  });
});
