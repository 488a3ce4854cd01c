// Light or dark, from whatever front end the notebook is in.

/** "dark" or "light": what JupyterLab, VS Code or Colab say, else the system. */
export function readTheme() {
  const body = document.body.dataset;
  if (body.jpThemeLight) return body.jpThemeLight === "false" ? "dark" : "light";
  if (body.vscodeThemeKind) return /dark|high-contrast$/.test(body.vscodeThemeKind) ? "dark" : "light";
  const root = document.documentElement;
  if (root.getAttribute("theme")) return root.getAttribute("theme") === "dark" ? "dark" : "light";
  if (root.dataset.theme) return root.dataset.theme === "dark" ? "dark" : "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Call `apply` now and whenever the theme may have changed; returns the clean-up. */
export function watchTheme(apply) {
  const observer = new MutationObserver(apply);
  const options = { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind", "theme", "data-theme", "class"] };
  observer.observe(document.body, options);
  observer.observe(document.documentElement, options);
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", apply);
  apply();
  return () => {
    observer.disconnect();
    media.removeEventListener("change", apply);
  };
}
