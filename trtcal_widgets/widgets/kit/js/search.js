// What a list is searched with: part of a name, a pattern with * and ?, or a regular expression.

import { h } from "./dom.js";
import { modified } from "./keyboard.js";

export const SEARCH_HELP = "Part of a name. With * and ? the whole name: backbone.*weight. A regular expression: re:conv[0-9]+$ or /conv[0-9]+$/";

const SPECIAL = /[\\^$.*+?()[\]{}|]/g;

/** The regular expression in "re:…", or in "/…/" where it cannot be part of a name as exporters write them; else null. */
function expressionIn(text) {
  if (/^re:/i.test(text)) return text.slice(3);
  const between = /^\/(.+)\/$/.exec(text)?.[1];
  return between && /[\\^$*+?()[\]{}|]/.test(between) ? between : null;
}

/**
 * How to look for a text: `fits(name)`, whatever its case, and `error` where the text is a regular expression that cannot
 * be read; then nothing fits. Everything fits an empty text.
 */
export function matcher(wanted) {
  const text = wanted.trim();
  const expression = expressionIn(text);
  if (expression !== null) {
    try {
      const pattern = new RegExp(expression, "i");
      return { text, error: "", fits: (name) => pattern.test(name) };
    } catch (error) {
      return { text, error: error.message, fits: () => false };
    }
  }
  if (/[*?]/.test(text)) {
    const source = text.replace(SPECIAL, (c) => ({ "*": ".*", "?": "." })[c] ?? `\\${c}`);
    const pattern = new RegExp(`^${source}$`, "isu");
    return { text, error: "", fits: (name) => pattern.test(name) };
  }
  const lower = text.toLowerCase();
  return { text, error: "", fits: (name) => name.toLowerCase().includes(lower) };
}

/** What a list says where nothing fits. */
export function notFound({ error }, words) {
  return error ? `Not a regular expression: ${error}` : words;
}

/** A field that searches a list: Enter and ArrowDown go to its rows, Escape empties it. `search(text)` shows what fits. */
export function searchField(list, props, search) {
  const field = h("input", { type: "search", spellcheck: "false", title: SEARCH_HELP, ...props });
  field.addEventListener("input", () => {
    list.toTop();
    search(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      list.body.focus();
      list.chooseFirst?.();
    }
    if (event.key === "Escape") {
      event.stopPropagation();
      field.value = "";
      search("");
      list.body.focus();
    }
  });
  return field;
}
