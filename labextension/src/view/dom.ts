/** Elements made by hand: names come from files, so everything is set as text, never as markup. */

import { shortened } from '../words';

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
/** Of long names, which are cut in wide columns too: `/layer12/Conv_output_0` has to be seen whole. */
const LONG_TAIL = 22;

/** A name that is cut in its middle where there is no room: the end of a tensor's name tells it from its neighbours. */
export function nameNode(name: string, className = ''): HTMLElement {
  const shown = shortened(name);
  const characters = Array.from(shown);
  const { length } = characters;
  const cut = length - (length > 2 * LONG_TAIL ? LONG_TAIL : length > 2 * TAIL ? TAIL : 0);
  return h(
    'span',
    { class: `trtcal-name ${className}`, title: shown },
    h('span', { class: 'trtcal-name-head', text: characters.slice(0, cut).join('') }),
    h('span', { class: 'trtcal-name-tail', text: characters.slice(cut).join('') })
  );
}
