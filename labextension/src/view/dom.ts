/** Elements made by hand: names come from files, so everything is set as text, never as markup. */

type Child = Node | string | null;

interface Attributes {
  class?: string;
  text?: string;
  title?: string;
  on?: Record<string, (event: any) => void>;
  [name: string]: unknown;
}

export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) {
      continue;
    }
    if (name === 'text') {
      node.textContent = String(value);
    } else if (name === 'on') {
      Object.entries(attributes.on!).forEach(([event, listener]) => node.addEventListener(event, listener));
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  node.append(...children.filter((child): child is Node | string => child !== null));
  return node;
}

const TAIL = 14;

/** A name that is cut in its middle where there is no room: the end of a tensor's name tells it from its neighbours. */
export function nameNode(name: string, className = ''): HTMLElement {
  const characters = Array.from(name);
  const cut = characters.length > 2 * TAIL ? characters.length - TAIL : characters.length;
  return h(
    'span',
    { class: `trtcal-name ${className}`, title: name },
    h('span', { class: 'trtcal-name-head', text: characters.slice(0, cut).join('') }),
    h('span', { class: 'trtcal-name-tail', text: characters.slice(cut).join('') })
  );
}
