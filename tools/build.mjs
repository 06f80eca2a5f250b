/**
 * Builds dist/: what is published. Modules are joined, because Node opens, compiles and links each one apart, and
 * the command is to answer in little more than the time that Node needs to start. Declarations come from tsc.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const doors = Object.values(manifest.exports)
  .map((path) => /^(?:\.\/)?dist\/(.+)\.js$/.exec(path)?.[1])
  .filter((name) => name !== undefined);
/** The commands that the command's own file does not hold. */
const others = readdirSync('src/cli/commands')
  .map((file) => file.replace(/\.ts$/, ''))
  .filter((name) => !['why', 'ls', 'help', 'free', 'wait'].includes(name));
const entries = [...new Set([...doors, ...startedByPath(), ...loadedLate()])].map((name) => [name, `src/${name}.ts`]);
// As deep as the folders of src/, see below.
for (const name of others) entries.push([`commands/${name}`, `src/cli/commands/${name}.ts`]);

rmSync('dist', { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(entries),
  platform: 'node',
  external: ['koffi', /^node:/],
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
  // What `import 'rebind'` loads at once is one file; the rest is loaded when it is called.
  codeSplitting: { groups: [{ name: 'door', test: atOnce() }] },
});
await bundle.close();
await buildCommand();
const tsc = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });

/**
 * The command is one CommonJS file with what is asked most, `why`, `ls`, `help`, `free` and `wait`: Node 20 loads a part of itself only
 * for ES modules, which costs as much as all of our work. The file that is started runs it from compiled code, which belongs
 * to one text, known by its hash; for the other commands it loads the modules of the library.
 */
async function buildCommand() {
  const command = 'dist/cli/command.cjs';
  await joinInto(command, 'src/cli/main.ts', {
    // Compiled code that was kept cannot import.
    dynamicImportInCjs: false,
    plugins: [
      elsewhere((id) => {
        const name = /^\.\/commands\/(.+)\.ts$/.exec(id)?.[1];
        return others.includes(name) ? `../commands/${name}.js` : null;
      }),
    ],
  });
  const hash = createHash('sha256').update(readFileSync(command)).digest('hex').slice(0, 16);
  const started = manifest.bin.rebind;
  await joinInto(started, 'src/cli/rebind.ts', {
    plugins: [elsewhere((id) => (id === './main.ts' ? './main.js' : null))],
    define: { commandHash: JSON.stringify(hash), otherCommands: JSON.stringify(others) },
  });
  chmodSync(started, 0o755);
}

/** Leaves modules where they are: `pathOf` says where that is, as seen from dist/cli, or null for what is joined. */
function elsewhere(pathOf) {
  return {
    name: 'elsewhere',
    resolveId(id) {
      const path = pathOf(id);
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

/** The modules that index.ts imports, directly or not, by other than `import()`. */
function atOnce() {
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
  visit('src/index.ts');
  found.delete('src/index.ts');
  const names = [...found].map((file) => file.replaceAll('\\', '/').replace('.', '\\.'));
  return new RegExp(`/(?:${names.join('|')})$`);
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
