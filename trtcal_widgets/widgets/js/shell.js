// The header: what is calibrated, undo and redo, the method for all, messages; also the theme and the keyboard.

const SHORTCUTS = [["← →", "one batch back or forward"], ["↑ ↓", "previous or next tensor"], ["/", "search tensors"],
  ["z", "undo"], ["Z or y", "redo"]];

function typing(target) {
  return target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
}

/** Shortcuts hold inside the explorer only; JupyterLab's own are kept off it (z, arrows and x mean something there). */
function bindKeys(root, model) {
  const send = (type) => model.send({ type });
  const actions = {
    ArrowLeft: () => send("back"), ArrowRight: () => send("forward"), z: () => send("undo"), Z: () => send("redo"), y: () => send("redo"),
    ArrowUp: () => root.dispatchEvent(new CustomEvent("tc-move", { detail: -1 })),
    ArrowDown: () => root.dispatchEvent(new CustomEvent("tc-move", { detail: 1 })),
    "/": () => root.querySelector("[data-testid=tc-search]")?.focus(),
  };
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

/** Plotly listens to the window's size alone: pass a change of the explorer's width on to it. */
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

function setUpRoot(root, model, cleanups) {
  root.setAttribute("tabindex", "0");
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "Calibration explorer");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.dataset.testid = "tc-explorer";
  hidePicture(model);
  const apply = () => {
    const theme = readTheme();
    root.classList.toggle("trtcal-dark", theme === "dark");
    for (const [kind, colors] of Object.entries(model.get("palette"))) {
      root.style.setProperty(`--tc-m-${kind}`, colors[theme]);
    }
    if (model.get("theme") !== theme) {
      model.set("theme", theme);
      model.save_changes();
    }
  };
  cleanups.push(watchTheme(apply), bindKeys(root, model), passResize(root));
}

/** The static picture is for a notebook without its kernel; where the explorer lives it would be seen twice. */
function hidePicture(model) {
  for (const picture of document.querySelectorAll("img.trtcal-static")) {
    if (picture.dataset.of !== model.get("picture")) continue;
    (picture.closest(".jp-OutputArea-child") ?? picture).style.display = "none";
  }
}

/** The explorer's root is there only once the view is attached. */
function whenAttached(el, cleanups, callback) {
  const look = () => {
    const root = el.closest(".trtcal-root");
    if (root) callback(root);
    return Boolean(root);
  };
  if (look()) return;
  const observer = new MutationObserver(() => {
    if (look()) observer.disconnect();
  });
  observer.observe(document.body, { childList: true, subtree: true });
  cleanups.push(() => observer.disconnect());
}

function shortcutsHelp() {
  const box = h("details", { class: "tc-help", testid: "tc-keys" });
  const body = h("div", { class: "tc-help-body", role: "note" }, h("strong", { text: "Keyboard" }));
  for (const [keys, what] of SHORTCUTS) {
    body.append(h("div", { class: "tc-key-row" }, h("kbd", { text: keys }), h("span", { text: what })));
  }
  body.append(h("p", { class: "tc-faint", text: "Click anywhere in the explorer first, so that it has the focus." }));
  box.append(h("summary", { class: "tc-wide", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts", text: "keys" }), body);
  return box;
}

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const cleanups = [];
  const title = h("span", { class: "tc-title tc-name", testid: "tc-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-facts" });
  const all = h("select", { class: "tc-select", "aria-label": "Method for all tensors",
    title: "The method for every tensor; choices for single tensors go (undo brings them back)", testid: "tc-method-all",
    on: { change: () => send("choose_all", { method: all.value }) } });
  const mine = h("span", { class: "tc-faint tc-mine-count", testid: "tc-mine-count" });
  const reset = button("reset", "Forget your choices for single tensors (undo brings them back)", "tc-reset-all", () => send("reset_all"), "reset all");
  const undo = button("undo", "Undo your last choice (z)", "tc-undo", () => send("undo"));
  const redo = button("redo", "Make the choice again (Z)", "tc-redo", () => send("redo"));
  const notice = h("div", { class: "tc-notice", role: "alert", testid: "tc-notice", hidden: true });
  const noticeText = h("div", { class: "tc-notice-text" });
  notice.append(icon("warn"), noticeText, button("cancel", "Close this message", "tc-notice-close", () => send("dismiss")));
  el.append(
    h("div", { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" }, h("label", { class: "tc-label" }, h("span", { text: "all tensors" }), all), mine, reset, undo, redo, shortcutsHelp())),
    notice,
  );
  const update = () => {
    const state = model.get("state");
    if (!state.title) return;
    nameParts(title, state.title, state.title);
    setText(facts, state.facts);
    facts.title = state.facts;
    setOptions(all, state.methods);
    all.value = state.method;
    setText(mine, state.mine ? `${state.mine} of your own` : "");
    reset.disabled = !state.mine;
    undo.disabled = !state.can_undo;
    redo.disabled = !state.can_redo;
    notice.hidden = !state.notice;
    if (state.notice) setText(noticeText, state.notice);
  };
  cleanups.push(follow(model, ["state"], update));
  whenAttached(el, cleanups, (root) => setUpRoot(root, model, cleanups));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
