// The header: what is calibrated, undo and redo, the method for all, messages; it also sets up the root.

const SHORTCUTS = [["← →", "one batch back or forward"], ["↑ ↓", "previous or next tensor"], ["/", "search tensors"],
  ["z", "undo"], ["Z or y", "redo"]];

function setUp(root, model) {
  const send = (type) => model.send({ type });
  const actions = {
    ArrowLeft: () => send("back"), ArrowRight: () => send("forward"), z: () => send("undo"), Z: () => send("redo"), y: () => send("redo"),
    ArrowUp: () => root.dispatchEvent(new CustomEvent("tc-move", { detail: -1 })),
    ArrowDown: () => root.dispatchEvent(new CustomEvent("tc-move", { detail: 1 })),
    "/": () => root.querySelector("[data-testid=tc-search]")?.focus(),
  };
  return setUpRoot(root, model, { label: "Calibration explorer", testid: "tc-explorer", actions });
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
  const notice = noticeBox("tc-notice", send);
  el.append(
    h("div", { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" }, h("label", { class: "tc-label" }, h("span", { text: "all tensors" }), all), mine, reset, undo, redo, shortcutsHelp(SHORTCUTS, "explorer", "tc-keys"))),
    notice.node,
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
    notice.show(state.notice);
  };
  cleanups.push(follow(model, ["state"], update));
  cleanups.push(whenAttached(el, (root) => cleanups.push(setUp(root, model))));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
