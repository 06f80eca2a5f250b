/**
 * What must hold for the repository as a whole: layers, registry, generated files, sizes.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { causes } from '../src/causes/bind/index.ts';
import type { Cause } from '../src/causes/cause.ts';
import { causes as connectCauses } from '../src/causes/connect/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every source file with its text, by its path from src/. */
const sources = new Map(
  readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name.replaceAll('\\', '/'), readFileSync(join(root, 'src', name), 'utf8')] as const),
);

/** The text without comments, so that an example in a docstring is not taken for code. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** Relative imports of a file, static, dynamic and of types alone, as paths from src/. */
function importsOf(name: string): string[] {
  const found = code(sources.get(name) ?? '').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...found].map(([, path = '']) => relative(root, join(root, dirname(name), path)).replaceAll('\\', '/'));
}

/** A part of the house: a folder, or one of the verbs beside them. */
function partOf(name: string): string {
  return name.includes('/') ? (name.split('/')[0] ?? '') : name.replace(/\.ts$/, '');
}

const verbs = ['free', 'wait', 'reach'];
const below = ['why', 'ask', 'act', 'check', 'errors', 'causes', 'os', 'model'];

/** What each part may import, besides itself. Anything that is not listed here may not be imported. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  model: [],
  os: ['check', 'model'],
  errors: ['causes', 'os', 'model'],
  check: ['model'],
  // What `rebind check` reads.
  manifests: [],
  // Only the types of what a stage offers.
  causes: ['model', 'stage'],
  // Only the types of what a cause asks for.
  stage: ['causes', 'model', 'os'],
  ask: ['check', 'causes', 'os', 'model'],
  act: ['ask', 'check', 'errors', 'causes', 'os', 'model'],
  why: ['ask', 'check', 'errors', 'causes', 'os', 'model'],
  free: ['why', 'act', 'ask', 'check', 'errors', 'causes', 'os', 'model', 'wait'],
  wait: ['reach', 'why', 'act', 'ask', 'check', 'errors', 'causes', 'os', 'model'],
  reach: ['ask', 'check', 'errors', 'causes', 'os', 'model'],
  server: [...verbs, ...below],
  plugins: ['server', ...verbs, ...below],
  hold: ['server', ...verbs, ...below],
  adopt: ['hold', 'server', ...verbs, ...below],
  preload: ['adopt', 'hold', 'server', ...verbs, ...below],
  index: ['lazy', 'adopt', 'hold', 'server', ...verbs, ...below],
  // Loads each function of the library when it is first called.
  lazy: ['adopt', 'hold', 'server', ...verbs, ...below],
  cli: ['index', 'hold', 'server', 'stage', 'manifests', ...verbs, ...below],
};

describe('the layers', () => {
  test('arrows point down, and no part is missing from the list', () => {
    const wrong: string[] = [];
    for (const name of sources.keys()) {
      const part = partOf(name);
      for (const target of importsOf(name)) {
        const other = partOf(target);
        if (other !== part && !(mayImport[part] ?? []).includes(other)) wrong.push(`${name} imports ${target}`);
      }
      if (!(part in mayImport)) wrong.push(`${name} belongs to no part`);
    }
    assert.deepEqual(wrong, []);
  });

  test('causes and stage take nothing but types from each other', () => {
    for (const [name, text] of sources) {
      const other = { causes: 'stage', stage: 'causes' }[partOf(name)];
      for (const line of text
        .split('\n')
        .filter((one) => other !== undefined && new RegExp(`from '(\\.\\./)+${other}/`).test(one)))
        assert.match(line, /^import type/, name);
    }
  });

  test('no two files import each other, directly or in a round', () => {
    const done = new Set<string>();
    const visit = (name: string, path: readonly string[]): void => {
      const at = path.indexOf(name);
      assert(at < 0, `a round of imports: ${[...path.slice(at), name].join(' → ')}`);
      if (done.has(name)) return;
      for (const target of importsOf(name)) visit(target, [...path, name]);
      done.add(name);
    };
    for (const name of sources.keys()) visit(name, []);
    assert(done.size > 20, 'the graph was not read');
  });

  test('hold and the programs that it runs know of each other only what passes between them', () => {
    for (const name of sources.keys()) {
      if (partOf(name) === 'adopt')
        for (const target of importsOf(name).filter((each) => partOf(each) === 'hold'))
          assert.match(target, /^hold\/wire\//, `${name} imports ${target}`);
      if (name.startsWith('hold/wire/'))
        for (const target of importsOf(name))
          assert(partOf(target) !== 'hold' || target.startsWith('hold/wire/'), `${name} imports ${target}`);
    }
  });

  test('every import names a file that exists', () => {
    for (const name of sources.keys())
      for (const target of importsOf(name)) assert(sources.has(target), `${name} imports ${target}`);
  });
});

describe('what only one part does', () => {
  /** Programs of their own, started as children, that nobody imports. */
  const programs = /^(stage|preload)\//;

  test('only cli/main.ts exits the process, and close.onSignals, which is asked to', () => {
    const may = ['cli/main.ts', 'server/signals.ts'];
    for (const [name, text] of sources)
      if (!may.includes(name) && !programs.test(name)) assert.doesNotMatch(code(text), /process\.exit\(/, name);
  });

  test('only the command and the preloads write to the console', () => {
    for (const [name, text] of sources)
      if (partOf(name) !== 'cli' && !programs.test(name))
        assert.doesNotMatch(code(text), /\bconsole\.|process\.std(out|err)\.write/, name);
  });

  test('what every answer loads imports no module of Node that takes long to start', () => {
    const quick = ['model', 'os', 'ask', 'act', 'causes', 'why', 'free', 'wait', 'reach', 'errors', 'check'];
    const slow =
      /^import (?!type\b)[^;]*from 'node:(child_process|crypto|dns|http|module|net|os|perf_hooks|readline|stream|timers|tty|zlib)/m;
    for (const [name, text] of sources) if (quick.includes(partOf(name))) assert.doesNotMatch(text, slow, name);
  });

  test('only os/ knows koffi and the paths of a platform', () => {
    for (const [name, text] of sources) {
      if (partOf(name) === 'os') continue;
      assert.doesNotMatch(code(text), /['"]koffi['"]/, name);
    }
  });

  test('only the rules of Linux and os/linux know the rules of Linux', () => {
    for (const name of sources.keys())
      if (!/^(model\/rules|os\/linux)\//.test(name))
        for (const target of importsOf(name))
          assert.doesNotMatch(target, /^model\/rules\/linux/, `${name} imports ${target}`);
    for (const name of sources.keys())
      if (!name.startsWith('model/systems/'))
        for (const target of importsOf(name)) assert.doesNotMatch(target, /^model\/systems\/linux/, name);
  });

  test('only os/ and the stage know the numbers and files of a platform', () => {
    const may = ['os', 'stage', 'model'];
    for (const name of sources.keys())
      if (!may.includes(partOf(name)))
        for (const target of importsOf(name))
          assert.doesNotMatch(target, /^os\/(linux|darwin|win32)\//, `${name} imports ${target}`);
  });

  test('a command of a system is named by its advice, and by nothing that advises', () => {
    for (const [name, text] of sources)
      if (['causes', 'act', 'ask', 'hold', 'wait', 'free', 'why'].includes(partOf(name)))
        assert.doesNotMatch(code(text), /(command|sentence): [^\n]*\b(sudo|sysctl|journalctl|list-sockets)\b/, name);
  });

  test('the model touches nothing: no modules of Node, no clock, no environment', () => {
    for (const [name, text] of sources)
      if (partOf(name) === 'model') assert.doesNotMatch(code(text), /'node:|\bprocess\.|Date\.now|new Date\(\)/, name);
  });
});

describe('the registry of causes', () => {
  const registry: readonly Cause<string, object>[] = causes;

  test('every file of a cause is in the registry, and the other way round', () => {
    const files = [...sources.keys()].flatMap((name) => /^causes\/bind\/([a-z0-9-]+)\.ts$/.exec(name)?.[1] ?? []);
    const ids = registry.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert(files.includes(id), `src/causes/bind/${id}.ts`);
    for (const name of files) {
      const text = sources.get(`causes/bind/${name}.ts`) ?? '';
      if (/^export (default|const \w+ =) .*\bcause\(/m.test(text))
        assert(ids.includes(name), `${name} is not in the registry`);
    }
  });

  for (const cause of registry) {
    test(`${cause.id} has a page, a platform, a situation and what to expect of it`, () => {
      for (const [part, text] of Object.entries(cause.page)) assert(text.trim().length > 40, `${cause.id}: ${part}`);
      assert(cause.on.length > 0);
      // What another system has cannot be staged on Linux: it is judged on a machine that is made up.
      assert(cause.stages.length > 0 || !cause.on.includes('linux'));
      assert.match(cause.title, /^\S.*[^.]$/);
      assert(existsSync(join(root, `docs/causes/${cause.id}.md`)));
    });
  }
});

describe('the registry of causes of a client that cannot connect', () => {
  test('every file of a cause is in the registry, and the other way round', () => {
    const files = [...sources.keys()].flatMap((name) => /^causes\/connect\/([a-z0-9-]+)\.ts$/.exec(name)?.[1] ?? []);
    const ids: string[] = connectCauses.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert(files.includes(id), `src/causes/connect/${id}.ts`);
    for (const name of files)
      if (/^export default (address|target)Cause\(/m.test(sources.get(`causes/connect/${name}.ts`) ?? ''))
        assert(ids.includes(name), `${name} is not in the registry`);
  });

  for (const cause of connectCauses) {
    test(`${cause.id} has a page, a platform and a title`, () => {
      for (const [part, text] of Object.entries(cause.page)) assert(text.trim().length > 20, `${cause.id}: ${part}`);
      assert(cause.on.length > 0);
      assert.match(cause.title, /^\S.*[^.]$/);
      assert(existsSync(join(root, `docs/causes/${cause.id}.md`)));
    });
  }
});

describe('the repository', () => {
  test('what is generated is fresh', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'build/tools/docs.js'), '--check'], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  });

  test('no source file is longer than 400 lines', () => {
    // A table of cases in test/ may be longer.
    const folders = ['src', 'tools', 'bench', 'examples'].filter((folder) => existsSync(join(root, folder)));
    const files = folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
        .map((name) => join(folder, name)),
    );
    const long = files.filter((name) => readFileSync(join(root, name), 'utf8').split('\n').length > 400);
    assert.deepEqual(long, []);
  });

  test('the lock file names every optional package of every platform, without which npm ci refuses it', () => {
    interface Package {
      readonly optionalDependencies?: Readonly<Record<string, string>>;
    }
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<Record<string, Package>>;
    };
    const isNamed = (from: string, name: string): boolean => {
      if (`${from === '' ? '' : `${from}/`}node_modules/${name}` in packages) return true;
      return from !== '' && isNamed(from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1)), name);
    };
    const absent = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isNamed(path, name)),
    );
    assert.deepEqual(absent, []);
  });

  test('every link from one page to another leads somewhere', () => {
    const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'].concat(
      readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.md'))
        .map((name) => join('docs', name)),
    );
    const broken = pages.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .map(([, target = '']) => join(dirname(page), target))
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${page} → ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  test('nothing that is committed names a place of the machine it was written on', () => {
    const { stdout } = spawnSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' });
    // A copy without its history, as CI makes for its second run, has nothing to look at.
    const files = stdout
      .split('\n')
      .filter((name) => name !== '' && name !== 'test/repo.test.ts' && existsSync(join(root, name)));
    for (const name of files) {
      if (/\.(hex|bin|png)$|package-lock\.json$/.test(name)) continue;
      assert.doesNotMatch(readFileSync(join(root, name), 'utf8'), /\/work\/|\/tmp\/wt\//, name);
    }
  });
});
