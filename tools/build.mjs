/**
 * Builds dist/: what is published. Modules are joined, because Node opens, compiles and links each one apart, and
 * the command is to answer in little more than the time that Node needs to start. Declarations come from tsc.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const doors = Object.values(manifest.exports)
  .map((path) => /^(?:\.\/)?dist\/(.+)\.js$/.exec(path)?.[1])
  .filter((name) => name !== undefined && !name.startsWith('preload/'));
const preloads = Object.values(manifest.exports).flatMap(
  (path) => /^\.\/dist\/preload\/(.+)\.js$/.exec(path)?.[1] ?? [],
);
/** The commands that are not part of the command's own file, by the table of commands. */
const others = (await tableOfCommands()).filter(({ fast }) => !fast).map(({ name }) => name);
const entries = [...new Set([...doors, ...startedByPath(), ...loadedLate()])].map((name) => [name, `src/${name}.ts`]);
/** What only `reach` needs, and who asks it after a failure: no other file has a copy of it. */
const late = {
  './reaching.ts': ['os/reaching-linux', 'src/os/linux/reaching.ts'],
  './portable-reaching.ts': ['os/reaching-portable', 'src/os/portable-reaching.ts'],
  '../reach/foresee.ts': ['reach/foresee', 'src/reach/foresee.ts'],
};
entries.push(...Object.values(late));
// As deep as the folders of src/, see below.
for (const file of others.map(fileOf)) entries.push([`commands/${file}`, `src/cli/commands/${file}.ts`]);

rmSync('dist', { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(entries),
  platform: 'node',
  external: ['koffi', '@hono/node-server', /^node:/],
  // What Node 20 cannot parse, such as `using`, is written out.
  transform: { target: 'node20.19' },
  logLevel: 'warn',
});
await bundle.write({
  dir: 'dist',
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name].js',
  // The declarations have them; Node reads past 40 kB of them at every start.
  comments: false,
  minify: {
    compress: { keepNames: { function: true, class: true } },
    mangle: { keepNames: true },
    codegen: { removeWhitespace: true },
  },
  // What is loaded together is one file: what `import 'rebind'` loads at once, what reads the system, what hold runs with, the command around it.
  codeSplitting: {
    groups: together(['door', 'index'], ['os', 'os/index'], ['hold', 'hold/index'], ['run', 'cli/run']),
  },
});
await bundle.close();
await minify('dist/chunks/yaml-tree.js');
// What is joined into our files brings its licence.
cpSync('node_modules/yaml/LICENSE', 'dist/manifests/yaml.LICENSE');
await buildCommand();
await buildPreloads();
const tsc = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
keepReachable(Object.values(manifest.exports).filter((path) => path.endsWith('.js')));

/** A chunk that is mostly a library of others: nobody reads it, and it is larger than any of ours. */
async function minify(file) {
  const chunk = await rolldown({ input: file, external: (id) => id.startsWith('./'), platform: 'node' });
  await chunk.write({ file, format: 'esm', minify: true });
  await chunk.close();
}

/** Removes the declarations that no public one refers to, and the folders that are empty then. */
function keepReachable(modules) {
  const kept = new Set();
  const visit = (file) => {
    if (kept.has(file)) return;
    kept.add(file);
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from |import ?\(?)["'](\.[^"']+)\.ts["']/g))
      visit(join(dirname(file), `${path}.d.ts`));
  };
  for (const module of modules) visit(join(module.replace(/\.js$/, '.d.ts')));
  for (const file of readdirSync('dist', { recursive: true })) {
    const path = join('dist', file);
    if (file.endsWith('.d.ts') && !kept.has(path)) rmSync(path);
  }
  const folders = readdirSync('dist', { recursive: true, withFileTypes: true }).filter((each) => each.isDirectory());
  const deepestFirst = folders.map((each) => join(each.parentPath, each.name)).sort((a, b) => b.length - a.length);
  for (const folder of deepestFirst) if (readdirSync(folder).length === 0) rmdirSync(folder);
}

/** The table, read from its source. */
async function tableOfCommands() {
  const bundle = await rolldown({
    input: 'src/cli/commands.ts',
    platform: 'node',
    external: [/^node:/, /^\.\.\/commands\//],
  });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
  await bundle.close();
  const text = Buffer.from(output[0].code).toString('base64');
  return (await import(`data:text/javascript;base64,${text}`)).commands;
}

/** The file of a command in commands/: hidden commands are written with underscores. */
function fileOf(name) {
  return name.replace(/^_+/, '');
}

/**
 * The command is one CommonJS file with the commands that are marked as fast: Node 20 loads a part of itself only for ES modules,
 * which takes as long as all of our work. The file that is started runs it from compiled code, which belongs to one text, known
 * by its hash; for the other commands it loads the modules of the library.
 */
async function buildCommand() {
  const command = 'dist/cli/command.cjs';
  await joinInto(command, 'src/cli/main.ts', {
    // Compiled code that was kept cannot import.
    dynamicImportInCjs: false,
    plugins: [
      withoutStages(),
      elsewhere((id) => {
        const file = /^\.\.\/commands\/(.+)\.ts$/.exec(id)?.[1];
        return others.map(fileOf).includes(file) ? `../commands/${file}.js` : null;
      }),
    ],
  });
  writeFileSync(command, asFunction(readFileSync(command, 'utf8')));
  const hash = createHash('sha256').update(readFileSync(command)).digest('hex').slice(0, 16);
  const started = manifest.bin.rebind;
  await joinInto(started, 'src/cli/rebind.ts', {
    plugins: [elsewhere((id) => (id === './main.ts' ? './main.js' : null))],
    define: {
      commandHash: JSON.stringify(hash),
      otherCommands: JSON.stringify(others),
      version: JSON.stringify(manifest.version),
    },
  });
  chmodSync(started, 0o755);
}

/**
 * A CommonJS module as the function that Node would make of it, in ASCII: V8 keeps such a text in half the space, and it is read
 * without being decoded.
 */
function asFunction(text) {
  const ascii = text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const whole = `(function (exports, require, module, __filename, __dirname) {${ascii}\n})`;
  // Nothing but strings and patterns may hold such characters.
  new Script(whole);
  return whole;
}

/**
 * `--require` runs a CommonJS file before the program without a trace: no ES module is loaded, so Node starts the program as it would anyway.
 * `--import` of the same files works, too.
 */
async function buildPreloads() {
  for (const name of preloads)
    await joinInto(`dist/preload/${name}.js`, `src/preload/${name}.ts`, { plugins: [elsewhere(() => null)] });
  writeFileSync('dist/preload/package.json', '{ "type": "commonjs" }\n');
}

/** Of a cause, an answer needs neither its page nor how to stage it: that is half of its text. `help` and `demo` have both from their modules. */
function withoutStages() {
  return {
    name: 'without-stages',
    transform(code, id) {
      if (!/\/src\/causes\/[a-z]+\/[^/]+\.ts$/.test(id) || id.includes('/shared/')) return null;
      const exported = parseAst(code, { lang: 'ts' }, id).body.find((node) => node.type === 'ExportDefaultDeclaration');
      const properties = exported?.declaration.arguments?.[0]?.properties ?? [];
      const left = properties.filter((property) => ['page', 'stages'].includes(property.key?.name));
      if (left.length === 0 && !/\bstages: [[(]/.test(code)) return null;
      if (left.length !== 2) throw new Error(`${id}: a cause is \`export default cause({ …, page, …, stages })\``);
      return left.reduceRight((text, { start, end }) => text.slice(0, start) + text.slice(end).replace(/^,/, ''), code);
    },
  };
}

/** Leaves modules where they are: `pathOf` says where that is, as seen from dist/cli, or null for what is joined. */
function elsewhere(pathOf) {
  return {
    name: 'elsewhere',
    resolveId(id, _importer, { kind }) {
      const [apart] = (kind === 'dynamic-import' && late[id]) || [];
      const path = apart === undefined ? pathOf(id) : `../${apart}.js`;
      return path === null ? null : { id: path, external: true };
    },
  };
}

/** Joins a module and all that it imports into one small CommonJS file. */
async function joinInto(file, input, { plugins, define = {}, dynamicImportInCjs = true }) {
  const bundle = await rolldown({
    input,
    platform: 'node',
    external: ['koffi', /^node:/],
    // What Node 20 cannot parse, such as `using`, is written out.
    transform: { target: 'node20.19', define },
    logLevel: 'warn',
    plugins,
  });
  await bundle.write({
    file,
    format: 'cjs',
    codeSplitting: false,
    dynamicImportInCjs,
    minify: { compress: true, mangle: true, codegen: { removeWhitespace: true } },
  });
  await bundle.close();
}

/** A file of each name: all that a module imports by other than `import()`, directly or not, and that no file before has. */
function together(...files) {
  const taken = new Set();
  return files.map(([name, entry], index) => {
    const found = atOnce(`src/${entry}.ts`).filter((file) => !taken.has(file));
    for (const file of found) taken.add(file);
    const names = found.map((file) => file.replaceAll('\\', '/').replaceAll('.', '\\.'));
    return { name, test: new RegExp(`/(?:${names.join('|')})$`), priority: files.length - index };
  });
}

/** The modules that a module imports by other than `import()`, directly or not. */
function atOnce(entry) {
  const found = new Set();
  const visit = (file) => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, path] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)\s(?!type\b)[^;]*?from '(\.[^']+)'/gm,
    )) {
      visit(join(dirname(file), path));
    }
  };
  visit(entry);
  found.delete(entry);
  return [...found];
}

/**
 * The programs that are started by their path. Joined modules lie in dist/chunks/, as deep as the folders of src/: a path
 * that is made from `import.meta.url` must name the folder, `../stage/leash.js`, and then holds in both trees.
 */
function startedByPath() {
  const names = [];
  for (const file of readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.ts'))) {
    const text = readFileSync(`src/${file}`, 'utf8');
    for (const [, path] of text.matchAll(/new URL\(\s*'([^']+\.js)',\s*import\.meta\.url/g)) {
      const name = /^\.\.\/([^./][^.]*)\.js$/.exec(path)?.[1];
      if (name === undefined || file.split(/[\\/]/).length !== 2 || !existsSync(`src/${name}.ts`)) {
        throw new Error(
          `src/${file}: '${path}' does not hold in dist/: write ../folder/name.js, in a file of a folder of src/`,
        );
      }
      names.push(name);
    }
  }
  return names;
}

/** The modules that are loaded with `load('../name.js')` when they are first needed, by a `require` of the file's own. */
function loadedLate() {
  const names = [];
  for (const file of readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.ts'))) {
    const text = readFileSync(`src/${file}`, 'utf8');
    for (const [, name] of text.matchAll(/\bload\('\.\.\/([^']+)\.js'\)/g)) {
      if (file.split(/[\\/]/).length !== 2 || !existsSync(`src/${name}.ts`))
        throw new Error(`src/${file}: '../${name}.js' does not hold in dist/`);
      names.push(name);
    }
  }
  return names;
}
