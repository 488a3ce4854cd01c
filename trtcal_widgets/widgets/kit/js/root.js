// What stands around the panels of a widget: its root with theme and keyboard, the list of keys, the message.

function typing(target) {
  return target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
}

/** Keys and what they do hold inside the root only; JupyterLab's own are kept off it (z, arrows and x mean something there). */
function bindKeys(root, actions) {
  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const action = actions[event.key];
    if (!action || (event.target.type === "range" && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };
  root.addEventListener("keydown", onKey);
  return () => root.removeEventListener("keydown", onKey);
}

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

/** The root is there only once the view is attached: call `callback` with it then. Returns the clean-up. */
function whenAttached(el, callback) {
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

/** Say what the root is, to a screen reader, to JupyterLab and to tests. */
function nameRoot(root, label, testid) {
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", label);
  root.setAttribute("data-lm-suppress-shortcuts", "true");
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

/** A root that has the focus, keys, and plots that fit its width. Returns the clean-up. */
function setUpRoot(root, model, { label, testid, actions }) {
  root.setAttribute("tabindex", "0");
  nameRoot(root, label, testid);
  hidePicture(root);
  const cleanups = [followTheme(root, model), bindKeys(root, actions), passResize(root)];
  return () => cleanups.forEach((clean) => clean());
}

/** "keys": which there are (pairs of a key and what it does), and where they hold. */
function shortcutsHelp(shortcuts, where, testid) {
  const box = h("details", { class: "tc-help", testid });
  const body = h("div", { class: "tc-help-body", role: "note" }, h("strong", { text: "Keyboard" }));
  for (const [keys, what] of shortcuts) {
    body.append(h("div", { class: "tc-key-row" }, h("kbd", { text: keys }), h("span", { text: what })));
  }
  body.append(h("p", { class: "tc-faint", text: `Click anywhere in the ${where} first, so that it has the focus.` }));
  box.append(h("summary", { class: "tc-wide", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts", text: "keys" }), body);
  return box;
}

/** The message to the user, closed with a button; returns its node and a function that shows a text. */
function noticeBox(testid, send) {
  const text = h("div", { class: "tc-notice-text" });
  const node = h("div", { class: "tc-notice", role: "alert", testid, hidden: true },
    icon("warn"), text, button("cancel", "Close this message", `${testid}-close`, () => send("dismiss")));
  const show = (notice) => {
    node.hidden = !notice;
    setText(text, notice);
  };
  return { node, show };
}
