// Builds the extension into trtcal_widgets/labextension; --check builds it anew and compares.
//   node build.mjs [--check]

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, '..', 'trtcal_widgets', 'labextension');

const run = (folder, script, ...args) =>
  execFileSync(process.execPath, [join(folder, 'node_modules', script), ...args], { cwd: folder, stdio: 'inherit' });

function build(folder) {
  rmSync(join(folder, 'lib'), { recursive: true, force: true });
  run(folder, 'typescript/bin/tsc');
  run(folder, '@jupyterlab/builder/lib/build-labextension.js', '--core-path', 'core', '.');
}

/** Every file under a folder, by its path in it. */
function contents(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  const paths = files.map(entry => join(entry.parentPath ?? entry.path, entry.name));
  return new Map(paths.map(path => [relative(folder, path), readFileSync(path)]));
}

/** In place, because the names of the files follow from where the sources lie; what was there is put back. */
function check() {
  const committed = contents(built);
  build(here);
  const fresh = contents(built);
  const names = [...new Set([...fresh.keys(), ...committed.keys()])];
  const differ = names.filter(name => !fresh.get(name)?.equals(committed.get(name) ?? Buffer.alloc(0)));
  if (!differ.length) {
    console.log(`The ${committed.size} built files are what their sources give.`);
    return;
  }
  rmSync(built, { recursive: true });
  for (const [name, content] of committed) {
    mkdirSync(dirname(join(built, name)), { recursive: true });
    writeFileSync(join(built, name), content);
  }
  console.error(`trtcal_widgets/labextension is not what its sources give: ${differ.join(', ')}`);
  console.error('Run `npm --prefix labextension run build` and commit what changed.');
  process.exit(1);
}

process.argv.includes('--check') ? check() : build(here);
