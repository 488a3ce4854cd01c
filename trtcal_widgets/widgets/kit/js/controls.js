// Buttons, the button that copies, what opens and closes beside its button, and the message to the user.

import { h, setText } from "./dom.js";
import { icon } from "./icons.js";

export function button(name, label, testid, handler, text) {
  const node = h("button", { type: "button", class: text ? "tc-button" : "tc-button tc-button-icon", title: label,
    "aria-label": label, testid, on: { click: handler } });
  if (name) node.append(icon(name));
  if (text) node.append(h("span", { text }));
  return node;
}

/** Copy text, where the browser allows it; says so on the button for a moment. */
export async function copyText(text, node) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard permission (plain http, an iframe): the old way still works there.
    const area = h("textarea", { class: "tc-offscreen", "aria-hidden": "true" });
    area.value = text;
    node.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  node.dataset.copied = copied ? "yes" : "no";
  setTimeout(() => delete node.dataset.copied, 1200);
}

export function copyButton(label, testid, text) {
  const node = button("copy", label, testid, () => copyText(text(), node));
  node.classList.add("tc-copy");
  return node;
}

/** A box that opens below its button and closes with Escape, or a click elsewhere. */
function popover(testid, summary, body) {
  const box = h("details", { class: "tc-help", testid }, summary, body);
  const close = () => { box.open = false; };
  const onPointer = (event) => {
    if (!box.isConnected || !event.composedPath().includes(box)) close();
  };
  const onKey = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    const inside = event.composedPath().includes(box);
    close();
    if (inside) summary.focus();
  };
  // In front of what the keys and the click would do elsewhere: Escape closes this box and nothing else.
  box.addEventListener("toggle", () => {
    const listen = box.open ? "addEventListener" : "removeEventListener";
    document[listen]("pointerdown", onPointer, true);
    document[listen]("keydown", onKey, true);
  });
  box.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) close();
  });
  return box;
}

/** A "?" that opens what one sees in this panel. */
export function helpButton(help, testid) {
  const summary = h("summary", { "aria-label": `What am I seeing? ${help.title}`, title: "What am I seeing?", text: "?" });
  return popover(testid, summary, h("div", { class: "tc-help-body", role: "note" },
    h("strong", { text: help.title }), h("p", { text: help.text }), h("p", { class: "tc-faint", text: `More: ${help.more}` })));
}

/** "keys": which there are (pairs of a key and what it does), and where they hold. */
export function shortcutsHelp(shortcuts, where, testid) {
  const summary = h("summary", { class: "tc-wide", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts", text: "keys" });
  const rows = shortcuts.map(([keys, what]) => h("div", { class: "tc-key-row" }, h("kbd", { text: keys }), h("span", { text: what })));
  return popover(testid, summary, h("div", { class: "tc-help-body", role: "note" }, h("strong", { text: "Keyboard" }), ...rows,
    h("p", { class: "tc-faint", text: `Click anywhere in the ${where} first, so that it has the focus.` })));
}

/** The message to the user, closed with a button; returns its node and a function that shows a text. */
export function noticeBox(testid, send) {
  const text = h("div", { class: "tc-notice-text" });
  const node = h("div", { class: "tc-notice", role: "alert", testid, hidden: true },
    icon("warn"), text, button("cancel", "Close this message", `${testid}-close`, () => send("dismiss")));
  const show = (notice) => {
    node.hidden = !notice;
    setText(text, notice);
  };
  return { node, show };
}
