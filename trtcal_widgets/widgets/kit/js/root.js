// What stands around the panels of a widget: its root with name, theme, keyboard and focus.

import { h } from "./dom.js";
import { bindKeys, holdsKey } from "./keyboard.js";
import { readTheme, watchTheme } from "./theme.js";

/** Plotly listens to the window's size alone: pass a change of the root's width on to it. */
function passResize(root) {
  let width = 0;
  let waiting = 0;
  const observer = new ResizeObserver(() => {
    if (Math.abs(root.clientWidth - width) < 2) return;
    width = root.clientWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
  });
  observer.observe(root);
  return () => {
    cancelAnimationFrame(waiting);
    observer.disconnect();
  };
}

/** The static picture is for a notebook without its kernel; where the widget lives it would be seen twice. */
function hidePicture(root) {
  const of = [...root.classList].find((name) => /^tc-of-[\w-]+$/.test(name))?.slice("tc-of-".length);
  if (!of) return () => {};
  for (const picture of document.querySelectorAll(`.trtcal-static[data-of="${of}"]`)) {
    (picture.closest(".jp-OutputArea-child") ?? picture).style.display = "none";
  }
  // The kernel renews the picture when the screen has changed: the new one is another element.
  const style = h("style", { text: `.trtcal-static[data-of="${of}"] { display: none; }` });
  document.head.append(style);
  return () => style.remove();
}

/** The root is there only once the view is attached: call `callback` with it then. Returns the clean-up. */
export function whenAttached(el, callback) {
  const look = () => {
    const root = el.closest(".trtcal-root");
    if (root) callback(root);
    return Boolean(root);
  };
  if (look()) return () => {};
  const observer = new MutationObserver(() => {
    if (look()) observer.disconnect();
  });
  observer.observe(document.body, { childList: true, subtree: true });
  return () => observer.disconnect();
}

const NO_SHORTCUTS = "data-lm-suppress-shortcuts";

/**
 * Keep JupyterLab's keys off what has the focus, but for those that the screen lets through: it looks for a key's meaning
 * from there outwards, and its own in a notebook (x cuts the cell) mean whatever has the focus, which it reaches before
 * the root. Said anew for each key, before anyone else hears of it; a screen inside another one speaks for itself.
 */
function keepShortcutsOff(root, keys) {
  const onKey = (event) => {
    if (!root.contains(event.target)) return;
    const held = holdsKey(event, keys);
    for (let node = event.target; node !== root.parentElement; node = node.parentElement) {
      if (node.closest(".trtcal-root") !== root) continue;
      if (held && (node === event.target || node === root)) node.setAttribute(NO_SHORTCUTS, "true");
      if (!held) node.removeAttribute(NO_SHORTCUTS);
    }
  };
  window.addEventListener("keydown", onKey, true);
  return () => window.removeEventListener("keydown", onKey, true);
}

/** Say what the root is, to a screen reader, to JupyterLab and to tests. */
function nameRoot(root, label, testid) {
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", label);
  root.setAttribute(NO_SHORTCUTS, "true");
  root.dataset.testid = testid;
}

/** Let the root follow the theme; the methods' colours, and the model where it draws plots, follow with it. */
function followTheme(root, model) {
  return watchTheme(() => {
    const theme = readTheme();
    root.classList.toggle("trtcal-dark", theme === "dark");
    for (const [kind, colors] of Object.entries(model.get("palette") ?? {})) root.style.setProperty(`--tc-m-${kind}`, colors[theme]);
    if (model.get("theme") === undefined || model.get("theme") === theme) return;
    model.set("theme", theme);
    model.save_changes();
  });
}

/** Whether an element can have the focus still. */
function alive(node) {
  return node.isConnected && !node.matches(":disabled") && node.getClientRects().length > 0;
}

/**
 * A control that is switched off, hidden or replaced while it has the focus would leave it to the page: the root takes it,
 * and gives it back when the control can have it again, unless the user went elsewhere meanwhile.
 */
function keepFocus(root) {
  let focused = null;
  let lost = null;
  const rescue = () => {
    const now = root.getRootNode().activeElement;
    if (lost && now === root && alive(lost)) lost.focus({ preventScroll: true });
    if (!focused || alive(focused)) return;
    const left = focused;
    if (root.isConnected && (!now || now === document.body || now === focused)) {
      root.focus({ preventScroll: true });
      lost = left;
    }
    focused = null;
  };
  const onFocus = (event) => {
    focused = event.target;
    lost = null;
  };
  const onBlur = ({ target, relatedTarget }) => {
    // Whoever leaves by a click elsewhere leaves a control that is still there.
    if (relatedTarget) focused = null;
    else queueMicrotask(() => { if (focused === target && alive(target)) focused = null; else rescue(); });
  };
  const observer = new MutationObserver(rescue);
  root.addEventListener("focusin", onFocus);
  root.addEventListener("focusout", onBlur);
  observer.observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ["disabled", "hidden"] });
  return () => {
    observer.disconnect();
    root.removeEventListener("focusin", onFocus);
    root.removeEventListener("focusout", onBlur);
  };
}

/** A root that has the focus, keys, and plots that fit its width. Returns the clean-up. */
export function setUpRoot(root, model, { label, testid, keys }) {
  root.setAttribute("tabindex", "0");
  nameRoot(root, label, testid);
  const cleanups = [hidePicture(root), followTheme(root, model), bindKeys(root, keys, (type) => model.send({ type })),
    keepShortcutsOff(root, keys), keepFocus(root), passResize(root)];
  return () => cleanups.forEach((clean) => clean());
}
