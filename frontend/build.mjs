// Bundles the screens: each panel's module and each screen's style sheet, with what they import, into one file in
// trtcal_widgets/widgets/static. What is there is committed: `pip install` needs no node.
//
//   node build.mjs           writes the files
//   node build.mjs --check   says which of them are not what the sources give; writes nothing

import { build } from "esbuild";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const SCREENS = join(ROOT, "trtcal_widgets", "widgets");
const STATIC = join(SCREENS, "static");
const BANNER = "Made by frontend/build.mjs: change the sources beside the screens, in their js folders.";

/** A module with a default export is a panel; a style sheet that no other one imports is a screen's. */
async function entries() {
  const found = {};
  for (const screen of (await readdir(SCREENS)).sort()) {
    const folder = join(SCREENS, screen, "js");
    for (const file of (await readdir(folder).catch(() => [])).sort()) {
      const path = join(folder, file);
      const panel = file.endsWith(".js") && /^export default /m.test(await readFile(path, "utf8"));
      if (panel) found[join(screen, basename(file, ".js"))] = path;
      else if (file === `${screen}.css`) found[join(screen, screen)] = path;
    }
  }
  return found;
}

async function bundles() {
  const { outputFiles, warnings } = await build({
    entryPoints: await entries(),
    outdir: STATIC,
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "esm",
    target: ["es2022", "chrome111", "firefox113", "safari16.4"],
    charset: "utf8",
    legalComments: "inline",
    nodePaths: [join(ROOT, "frontend", "node_modules")],
    // Not minified: what is committed can be read, and merged line by line.
    banner: { js: `// ${BANNER}`, css: `/* ${BANNER} */` },
    logLevel: "warning",
  });
  if (warnings.length) process.exit(1);
  return new Map(outputFiles.map(({ path, contents }) => [relative(STATIC, path), Buffer.from(contents)]));
}

const made = await bundles();
const there = (await readdir(STATIC, { recursive: true }).catch(() => [])).filter((name) => /\.(js|css)$/.test(name));
const leftOver = there.filter((name) => !made.has(name));
if (process.argv.includes("--check")) {
  const differs = [];
  for (const [name, bytes] of made) {
    const committed = await readFile(join(STATIC, name)).catch(() => null);
    if (!committed?.equals(bytes)) differs.push(name);
  }
  const wrong = [...differs, ...leftOver].sort();
  if (wrong.length) {
    console.error(`Not what the sources give: ${wrong.join(", ")} (in trtcal_widgets/widgets/static).\nRun: npm --prefix frontend run build`);
    process.exit(1);
  }
  console.log(`${made.size} built files are what the sources give.`);
} else {
  await Promise.all(leftOver.map((name) => rm(join(STATIC, name))));
  for (const [name, bytes] of made) {
    await mkdir(dirname(join(STATIC, name)), { recursive: true });
    await writeFile(join(STATIC, name), bytes);
  }
  const size = [...made.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  console.log(`${made.size} files, ${Math.round(size / 1000)} kB.`);
}
