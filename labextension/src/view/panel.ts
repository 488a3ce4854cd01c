/** Filters, search, table and the details of the chosen row; below them a picture. */

import { h, nameNode } from './dom';
import { ALL, arrange, type Arrangement, type Rows } from './rows';
import { Table } from './table';
import { matcher, SEARCH_HELP } from '../search';
import { count } from '../words';

export interface Picture {
  node: HTMLElement;
  select: (row: number) => void;
  /** The first and the last row in the picture, where someone looks closer; null where it shows all. */
  near: [number, number] | null;
  dispose: () => void;
}

/** What was searched, sorted, chosen and in view: it stays when the file is read again. */
export interface PanelState {
  arrangement: Arrangement;
  /** The chosen row and what it is called: names may be there twice. */
  chosen: { row: number; name: string } | null;
  /** How many rows are above the view. */
  above: number;
  /** The rows in the picture, where someone looks closer. */
  near: [number, number] | null;
  /** TensorRT and calibrator that a cache is asked about, where they were chosen. */
  fit?: Fit | null;
}

export interface Fit {
  version: string;
  algorithm: string;
}

/** A layer may read a thousand tensors, a file may hold a name a hundred thousand times. */
const MOST_NOTES = 100;

export class TablePanel {
  readonly node: HTMLElement;
  private chosen = -1;
  private readonly table: Table;
  private readonly chips: HTMLElement;
  private readonly groupText: HTMLElement;
  private readonly search: HTMLInputElement;
  private readonly shownCount: HTMLElement;
  private readonly details: HTMLElement;
  private readonly picture: Picture | null;
  private arrangement: Arrangement = { search: '', group: ALL, sort: '', descending: false };

  constructor(
    private readonly rows: Rows,
    makePicture?: (onPick: (row: number) => void) => Picture
  ) {
    this.arrangement.sort = rows.columns[0].key;
    this.chips = h('div', { class: 'trtcal-chips', role: 'group', 'aria-label': 'Which rows are shown' });
    this.groupText = h('div', { class: 'trtcal-group-text', role: 'status', 'data-testid': 'trtcal-group-text' });
    this.search = h('input', {
      type: 'search',
      class: 'trtcal-search jp-mod-styled',
      placeholder: 'Search names  ( / )',
      'aria-label': 'Search names',
      title: SEARCH_HELP,
      spellcheck: 'false',
      'data-testid': 'trtcal-search',
      on: { input: () => this.change({ search: this.search.value }) }
    });
    this.shownCount = h('span', { class: 'trtcal-faint', 'aria-live': 'polite', 'data-testid': 'trtcal-count' });
    this.table = new Table(rows, {
      onSelect: row => this.select(row),
      onSort: ({ key, largestFirst }) =>
        this.change(
          key === this.arrangement.sort
            ? { descending: !this.arrangement.descending }
            : { sort: key, descending: Boolean(largestFirst) }
        )
    });
    this.details = h('div', { class: 'trtcal-details', 'aria-live': 'polite', 'data-testid': 'trtcal-details' });
    this.picture = makePicture?.(row => this.select(row)) ?? null;
    this.node = h(
      'div',
      { class: 'trtcal-panel', on: { keydown: (event: KeyboardEvent) => this.keydown(event) } },
      h('div', { class: 'trtcal-tools' }, this.search, this.shownCount, this.chips),
      this.groupText,
      this.table.node,
      this.details,
      this.picture?.node ?? null
    );
    this.change({});
    this.showDetails(-1);
  }

  dispose(): void {
    this.table.dispose();
    this.picture?.dispose();
  }

  focus(): void {
    this.table.body.focus({ preventScroll: true });
  }

  get state(): PanelState {
    const chosen = this.chosen < 0 ? null : { row: this.chosen, name: this.rows.names[this.chosen] };
    return { arrangement: this.arrangement, chosen, above: this.table.above, near: this.picture?.near ?? null };
  }

  restore({ arrangement, chosen, above, near }: PanelState): void {
    const { group, sort } = arrangement;
    const knows = <T extends { key: string }>(all: T[], key: string): boolean => all.some(one => one.key === key);
    this.search.value = arrangement.search;
    this.change({
      ...arrangement,
      group: knows(this.rows.groups, group) ? group : ALL,
      sort: knows(this.rows.columns, sort) ? sort : this.rows.columns[0].key
    });
    const { names } = this.rows;
    const row = chosen === null ? -1 : names[chosen.row] === chosen.name ? chosen.row : names.indexOf(chosen.name);
    if (row >= 0) {
      this.select(row);
    }
    this.table.above = above;
    if (this.picture) {
      this.picture.near = near;
    }
  }

  select(row: number): void {
    this.chosen = row;
    this.table.select(row);
    this.picture?.select(row);
    this.showDetails(row);
  }

  private change(change: Partial<Arrangement>): void {
    this.arrangement = { ...this.arrangement, ...change };
    const { group, sort, descending } = this.arrangement;
    const shown = arrange(this.rows, this.arrangement);
    this.table.show(shown, sort, descending);
    const { error } = matcher(this.arrangement.search);
    const total = this.rows.size;
    const empty = total ? 'Nothing fits the search and the filter.' : `There are no ${this.rows.noun[1]}.`;
    this.table.sayEmpty(error ? `Not a regular expression: ${error}` : empty);
    const noun = this.rows.noun[total === 1 ? 0 : 1];
    this.shownCount.textContent =
      shown.length === total ? `${count(total)} ${noun}` : `${count(shown.length)} of ${count(total)} ${noun}`;
    this.groupText.textContent = this.rows.groups.find(({ key }) => key === group)?.text ?? '';
    if ('group' in change || !this.chips.hasChildNodes()) {
      this.showChips();
    }
  }

  private showChips(): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.testid;
    this.chips.replaceChildren(
      ...this.rows.groups.map(({ key, label, severity, rows }) =>
        h(
          'button',
          {
            type: 'button',
            class: 'trtcal-chip',
            'aria-pressed': String(key === this.arrangement.group),
            'data-kind': severity,
            'data-testid': `trtcal-group-${key}`,
            on: { click: () => this.change({ group: key === this.arrangement.group ? ALL : key }) }
          },
          h('span', { text: label }),
          h('span', { class: 'trtcal-chip-count', text: count(rows.length) })
        )
      )
    );
    if (focused?.startsWith('trtcal-group-')) {
      this.chips.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  private showDetails(row: number): void {
    if (row < 0) {
      this.details.replaceChildren(
        h('span', {
          class: 'trtcal-faint',
          text: this.rows.size ? `Choose a ${this.rows.noun[0]} to see its exact numbers.` : ''
        })
      );
      return;
    }
    const { name, numbers, notes, picture } = this.rows.detail(row);
    const copied = h('button', {
      type: 'button',
      class: 'trtcal-copy',
      title: 'Copy the name',
      'aria-label': 'Copy the name',
      text: 'Copy',
      on: { click: () => void copyText(name, copied).then(done => (copied.textContent = done ? 'Copied' : 'Not copied')) }
    });
    this.details.replaceChildren(
      h('div', { class: 'trtcal-details-name' }, nameNode(this.rows.names[row], 'trtcal-details-title'), copied),
      h(
        'div',
        { class: 'trtcal-numbers' },
        ...numbers.map(([label, value]) =>
          h(
            'span',
            { class: 'trtcal-fact' },
            h('span', { class: 'trtcal-faint', text: `${label} ` }),
            h('span', { class: 'trtcal-value', text: value })
          )
        )
      ),
      ...notes.slice(0, MOST_NOTES).map(text => h('div', { class: 'trtcal-note', text })),
      ...(notes.length > MOST_NOTES ? [h('div', { class: 'trtcal-note', text: `and ${count(notes.length - MOST_NOTES)} more` })] : []),
      ...(picture ? [picture] : [])
    );
  }

  private keydown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const typing = event.target === this.search;
    if (event.key === '/' && !typing) {
      this.search.focus();
      this.search.select();
    } else if (event.key === 'Escape' && typing) {
      this.search.value = '';
      this.change({ search: '' });
      this.focus();
    } else if ((event.key === 'ArrowDown' || event.key === 'Enter') && typing) {
      this.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Copy a text; false where the browser does not let us. */
async function copyText(text: string, beside: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No permission, or plain http as many servers have it: the old way still works there.
    const area = h('textarea', { class: 'trtcal-offscreen', 'aria-hidden': 'true' });
    area.value = text;
    beside.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    beside.focus();
    return done;
  }
}
