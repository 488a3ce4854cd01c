// Small DOM helpers. Text from models and files goes through textContent only.

const SVG_NS = "http://www.w3.org/2000/svg";

/** Make an element. `props`: class, text, testid, title, on: {event: handler}, anything else is an attribute. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key === "testid") node.dataset.testid = value;
    else if (key === "on") for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG_NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function option(value, text) {
  return h("option", { value, text });
}

/** Fill a select anew only where its options changed, so that an open list is not closed. */
export function setOptions(select, pairs) {
  const key = JSON.stringify(pairs);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...pairs.map(([value, text]) => option(value, text)));
}

const TAIL = 11; // characters
/** Where a column is wide: `/layer12/Conv_output_0`, which tells a name from its neighbours, is seen whole. */
export const LONG_TAIL = 22;

/** A name whose middle gives way when there is no room: the head shrinks, the tail stays. Whole on hover. */
export function nameParts(node, shown, whole, longest = TAIL) {
  const characters = Array.from(shown);
  const { length } = characters;
  const cut = length - (length > 2 * longest ? longest : length > TAIL + 4 ? TAIL : 0);
  node.replaceChildren(h("span", { class: "tc-name-head", text: characters.slice(0, cut).join("") }));
  if (cut < characters.length) node.append(h("span", { class: "tc-name-tail", text: characters.slice(cut).join("") }));
  node.title = whole ?? shown;
}

/** Show text in a node only where it changed. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function toggle(node, attribute, on) {
  if (on) node.setAttribute(attribute, "");
  else node.removeAttribute(attribute);
}
