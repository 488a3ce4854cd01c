// The debugger's header: what is judged, run and cancel, how far it is, what is out of date; the theme and the keyboard.

const SHORTCUTS = [["↑ ↓", "previous or next layer"], ["k", "keep the layer in higher precision, or quantise it again"], ["r", "run, or refresh"],
  ["Esc", "cancel"], ["z", "undo the last change of the plan"], ["Z or y", "make it again"]];

function typing(target) {
  return target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
}

/** Shortcuts hold inside the debugger only; JupyterLab's own are kept off it. */
function bindKeys(root, model) {
  const send = (type) => model.send({ type });
  const move = (step) => root.dispatchEvent(new CustomEvent("tc-move", { detail: step }));
  const actions = {
    ArrowUp: () => move(-1), ArrowDown: () => move(1), k: () => root.dispatchEvent(new CustomEvent("tc-keep")),
    r: () => send("run"), Escape: () => send("cancel"), z: () => send("undo"), Z: () => send("redo"), y: () => send("redo"),
  };
  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };
  root.addEventListener("keydown", onKey);
  return () => root.removeEventListener("keydown", onKey);
}

/** Plotly listens to the window's size alone: pass a change of our width on to it. */
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
  return () => { cancelAnimationFrame(waiting); observer.disconnect(); };
}

function setUpRoot(root, model, cleanups) {
  root.setAttribute("tabindex", "0");
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "Accuracy debugger");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.dataset.testid = "tc-debugger";
  const apply = () => {
    const theme = readTheme();
    root.classList.toggle("trtcal-dark", theme === "dark");
    for (const [kind, colors] of Object.entries(model.get("palette"))) root.style.setProperty(`--tc-m-${kind}`, colors[theme]);
    if (model.get("theme") !== theme) {
      model.set("theme", theme);
      model.save_changes();
    }
  };
  cleanups.push(watchTheme(apply), bindKeys(root, model), passResize(root));
}

/** The root is there only once the view is attached. */
function whenAttached(el, cleanups, callback) {
  const look = () => {
    const root = el.closest(".trtcal-root");
    if (root) callback(root);
    return Boolean(root);
  };
  if (look()) return;
  const observer = new MutationObserver(() => { if (look()) observer.disconnect(); });
  observer.observe(document.body, { childList: true, subtree: true });
  cleanups.push(() => observer.disconnect());
}

function shortcutsHelp() {
  const box = h("details", { class: "tc-help", testid: "tc-dbg-keys" });
  const body = h("div", { class: "tc-help-body", role: "note" }, h("strong", { text: "Keyboard" }));
  for (const [keys, what] of SHORTCUTS) body.append(h("div", { class: "tc-key-row" }, h("kbd", { text: keys }), h("span", { text: what })));
  body.append(h("p", { class: "tc-faint", text: "Click anywhere in the debugger first, so that it has the focus." }));
  box.append(h("summary", { class: "tc-wide", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts", text: "keys" }), body);
  return box;
}

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const cleanups = [];
  const title = h("span", { class: "tc-title tc-name", testid: "tc-dbg-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-dbg-facts" });
  const runText = h("span");
  const run = h("button", { type: "button", class: "tc-button tc-primary-text tc-dbg-run", testid: "tc-dbg-run", on: { click: () => send("run") } }, runText);
  const cancel = button("cancel", "Stop at the next step; what is complete is kept (Esc)", "tc-dbg-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const auto = h("input", { type: "checkbox", testid: "tc-dbg-auto", on: { change: () => send("auto", { on: auto.checked }) } });
  const undo = button("undo", "Undo the last change of the plan (z)", "tc-dbg-undo", () => send("undo"));
  const redo = button("redo", "Make the change of the plan again (Z)", "tc-dbg-redo", () => send("redo"));
  const bar = h("div", { class: "tc-dbg-progress-fill" });
  const progress = h("div", { class: "tc-dbg-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100, testid: "tc-dbg-progress" }, bar);
  const text = h("div", { class: "tc-dbg-status-text", testid: "tc-dbg-status", "aria-live": "polite" });
  const stale = h("div", { class: "tc-dbg-stale", role: "status", testid: "tc-dbg-stale", hidden: true });
  const staleText = h("div", { class: "tc-dbg-stale-text" });
  stale.append(icon("warn"), staleText, h("button", { type: "button", class: "tc-button", testid: "tc-dbg-refresh", text: "Refresh", title: "Run again with the session's thresholds of now (r)", on: { click: () => send("run") } }));
  const failure = h("pre", { class: "tc-dbg-failure", role: "alert", testid: "tc-dbg-failure", hidden: true });
  const notice = h("div", { class: "tc-notice", role: "alert", testid: "tc-dbg-notice", hidden: true });
  const noticeText = h("div", { class: "tc-notice-text" });
  notice.append(icon("warn"), noticeText, button("cancel", "Close this message", "tc-dbg-notice-close", () => send("dismiss")));
  el.append(
    h("div", { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" },
        h("label", { class: "tc-label", title: "Run again by itself whenever a threshold changes in the session" }, auto, h("span", { text: "auto" })),
        run, undo, redo, shortcutsHelp())),
    h("div", { class: "tc-dbg-status" }, progress, text, cancel), stale, failure, notice,
  );
  const update = () => {
    const state = model.get("state");
    if (!state.title) return;
    nameParts(title, state.title, state.title);
    setText(facts, state.facts);
    facts.title = state.facts;
    setText(runText, state.run_label);
    run.disabled = state.running;
    run.title = state.run_title;
    auto.checked = state.auto;
    undo.disabled = !state.can_undo;
    redo.disabled = !state.can_redo;
    cancel.hidden = progress.hidden = !state.running;
    progress.dataset.known = String(state.percent !== null);
    bar.style.width = state.percent === null ? "30%" : `${state.percent}%`;
    if (state.percent !== null) progress.setAttribute("aria-valuenow", state.percent);
    else progress.removeAttribute("aria-valuenow");
    setText(text, state.text);
    text.title = state.text;
    text.dataset.kind = state.text_kind;
    stale.hidden = !state.stale || state.running;
    if (state.stale) setText(staleText, state.stale);
    el.closest(".trtcal-root")?.classList.toggle("tc-dbg-old", Boolean(state.stale));
    failure.hidden = !state.failure;
    setText(failure, state.failure);
    notice.hidden = !state.notice;
    setText(noticeText, state.notice);
  };
  cleanups.push(follow(model, ["state"], update));
  whenAttached(el, cleanups, (root) => setUpRoot(root, model, cleanups));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
