// A module of the screens, for tests that need no browser.

import { build } from "esbuild";
import { fileURLToPath } from "node:url";

/** Import `kit/js/search.js` and the like with what it imports, whatever node thinks of the package's folders. */
export async function source(name) {
  const path = fileURLToPath(new URL(`../trtcal_widgets/widgets/${name}`, import.meta.url));
  const { outputFiles } = await build({ entryPoints: [path], bundle: true, write: false, format: "esm", charset: "utf8", nodePaths: [fileURLToPath(new URL("node_modules", import.meta.url))] });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
