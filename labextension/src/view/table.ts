/** A table of any length: only the rows in view are in the page. */

import { h, nameNode } from './dom';
import { released } from './press';
import type { ColumnSpec, Rows } from './rows';

const LINE = 24;
/** In narrow panes a row has two lines: the name above its numbers. */
const TWO_LINES = 44;
const BEYOND = 8;
/** Browsers lay out nothing that is taller, in pixels: of longer tables a step of the scroll bar is more than its own. */
const TALLEST = 12e6;

export interface TableEvents {
  onSelect: (row: number) => void;
  onSort: (column: ColumnSpec) => void;
}

export class Table {
  readonly node: HTMLElement;
  readonly body: HTMLElement;
  private readonly heads: HTMLElement;
  private readonly spacer: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly resize: ResizeObserver;
  private shown: number[] = [];
  private drawn = new Map<number, HTMLElement>();
  private selected = -1;
  private isNarrow = false;
  private sorted: [key: string, descending: boolean] = ['', false];

  constructor(
    private readonly rows: Rows,
    private readonly events: TableEvents
  ) {
    this.heads = h('div', { class: 'trtcal-row trtcal-heads', role: 'row' });
    // By its place and not by a row's own listener: a row that is let go while the mouse is down is not the one to hear.
    this.spacer = h('div', {
      class: 'trtcal-spacer',
      role: 'presentation',
      on: { click: (event: MouseEvent) => this.clicked(event) }
    });
    this.empty = h('div', { class: 'trtcal-empty', 'data-testid': 'trtcal-empty' });
    this.body = h(
      'div',
      { class: 'trtcal-body', role: 'rowgroup', tabindex: '0', 'data-testid': 'trtcal-body' },
      this.spacer,
      this.empty
    );
    this.node = h(
      'div',
      { class: 'trtcal-table', role: 'grid', 'aria-label': rows.label, 'data-testid': 'trtcal-table' },
      h('div', { role: 'rowgroup', class: 'trtcal-head-group' }, this.heads),
      this.body
    );
    this.lay();
    this.body.addEventListener('scroll', () => this.draw());
    this.body.addEventListener('keydown', event => this.keydown(event));
    this.resize = new ResizeObserver(() => void this.fit());
    this.resize.observe(this.body);
  }

  dispose(): void {
    this.resize.disconnect();
  }

  /** Show these rows, in this order. */
  show(rows: number[], sort: string, descending: boolean): void {
    this.shown = rows;
    this.sorted = [sort, descending];
    this.node.setAttribute('aria-rowcount', String(rows.length + 1));
    this.empty.hidden = rows.length > 0;
    this.showHeads();
    this.makeRoom();
    const at = rows.indexOf(this.selected);
    if (at < 0) {
      this.body.scrollTop = 0;
    } else {
      this.reveal(at);
    }
    this.draw();
  }

  /** How many rows are above the view. */
  get above(): number {
    return this.offset / this.height;
  }

  set above(rows: number) {
    this.offset = rows * this.height;
    this.draw();
  }

  /** What a pixel of the scroll bar is in the table. */
  private get stretch(): number {
    const [total, room] = [this.shown.length * this.height, this.body.clientHeight];
    return total > TALLEST ? (total - room) / (TALLEST - room) : 1;
  }

  /** How far the table is scrolled, in pixels. */
  private get offset(): number {
    return this.body.scrollTop * this.stretch;
  }

  private set offset(pixels: number) {
    this.body.scrollTop = pixels / this.stretch;
  }

  private get columns(): ColumnSpec[] {
    return this.isNarrow ? this.rows.columns.filter(column => !column.spare) : this.rows.columns;
  }

  /** What a row is called: the first line in narrow panes. */
  private get heading(): ColumnSpec | undefined {
    return this.rows.columns.find(({ kind }) => kind === 'name');
  }

  private get height(): number {
    return this.isNarrow ? TWO_LINES : LINE;
  }

  private showHeads(): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.testid;
    this.heads.replaceChildren(...this.columns.map(column => this.head(column, ...this.sorted)));
    if (focused?.startsWith('trtcal-sort-')) {
      this.heads.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  /** One line for a row where all columns have room, else two; the first row in view stays there. */
  private async fit(): Promise<void> {
    await released();
    const isNarrow = this.node.clientWidth > 0 && this.node.clientWidth < roomFor(this.rows.columns);
    if (isNarrow !== this.isNarrow) {
      const { above } = this;
      this.isNarrow = isNarrow;
      this.lay();
      this.showHeads();
      this.draw();
      this.above = above;
    }
    this.draw();
  }

  /** Give the grid its columns; in narrow panes the name has a line of its own and the others share the second one. */
  private lay(): void {
    const { columns } = this;
    const tracks = this.isNarrow
      ? columns.slice(1).map(() => 'minmax(0, 1fr)')
      : columns.map(({ kind }) => WIDTHS[kind][0]);
    this.node.classList.toggle('trtcal-narrow', this.isNarrow);
    this.node.style.setProperty('--trtcal-columns', tracks.join(' '));
    this.node.style.setProperty('--trtcal-row-height', `${this.height}px`);
    this.drawn.clear();
  }

  /** What stands there where no row does. */
  sayEmpty(text: string): void {
    this.empty.textContent = text;
  }

  select(row: number): void {
    this.selected = row;
    const at = this.shown.indexOf(row);
    if (at >= 0) {
      this.reveal(at);
    }
    this.draw();
  }

  private head(column: ColumnSpec, sort: string, descending: boolean): HTMLElement {
    const active = column.key === sort;
    const cell = h('span', {
      class: this.cellClass(column),
      role: 'columnheader',
      'aria-sort': active ? (descending ? 'descending' : 'ascending') : 'none'
    });
    cell.append(
      h('button', {
        class: 'trtcal-head',
        type: 'button',
        title: `${column.title}. Click to sort.`,
        'data-testid': `trtcal-sort-${column.key}`,
        text: `${column.label}${active ? (descending ? ' ▾' : ' ▴') : ''}`,
        on: { click: () => this.events.onSort(column) }
      })
    );
    return cell;
  }

  private clicked(event: MouseEvent): void {
    const place = event.clientY - this.spacer.getBoundingClientRect().top + this.offset - this.body.scrollTop;
    const row = this.shown[Math.floor(place / this.height)];
    if (row !== undefined) {
      this.events.onSelect(row);
    }
  }

  private cellClass(column: ColumnSpec): string {
    const heading = this.isNarrow && column === this.heading ? ' trtcal-heading' : '';
    return `trtcal-cell trtcal-${column.kind}${heading}`;
  }

  private reveal(at: number): void {
    const top = at * this.height;
    const bottom = top + this.height - this.body.clientHeight;
    this.offset = Math.max(bottom, Math.min(top, this.offset));
  }

  /** Give the scroll bar its length: without it nothing can be scrolled to. */
  private makeRoom(): void {
    this.spacer.style.height = `${Math.min(this.shown.length * this.height, TALLEST)}px`;
  }

  private draw(): void {
    this.makeRoom();
    const { offset } = this;
    const from = Math.max(0, Math.floor(offset / this.height) - BEYOND);
    const inView = Math.ceil((offset + this.body.clientHeight) / this.height);
    const to = Math.min(this.shown.length, inView + BEYOND);
    const shift = offset - this.body.scrollTop;
    const drawn = this.shown.slice(from, to).map((row, i) => {
      const node = this.drawn.get(row) ?? this.row(row);
      node.setAttribute('aria-rowindex', String(from + i + 2));
      node.setAttribute('aria-selected', String(row === this.selected));
      node.style.top = `${(from + i) * this.height - shift}px`;
      return [row, node] as const;
    });
    this.drawn = new Map(drawn);
    this.replaceRows(drawn.map(([, node]) => node));
    const selected = this.spacer.querySelector('[aria-selected=true]');
    this.body.setAttribute('aria-activedescendant', selected?.id ?? '');
  }

  /** Rows that stay are left in the page: one that goes between the press and the release of the mouse is not clicked. */
  private replaceRows(rows: HTMLElement[]): void {
    const kept = new Set<Element>(rows);
    [...this.spacer.children].filter(node => !kept.has(node)).forEach(node => node.remove());
    let next = this.spacer.firstElementChild;
    for (const node of rows) {
      if (node === next) {
        next = node.nextElementSibling;
      } else {
        this.spacer.insertBefore(node, next);
      }
    }
  }

  private row(row: number): HTMLElement {
    const node = h('div', {
      class: 'trtcal-row',
      id: `${this.id}-${row}`,
      role: 'row',
      'data-testid': 'trtcal-row',
      'data-kind': this.rows.severity(row)
    });
    node.append(
      ...this.columns.map(column => {
        const text = column.cell(row);
        const cell = h('span', { class: this.cellClass(column), role: 'gridcell' });
        cell.append(column.kind === 'name' ? nameNode(text) : text);
        if (column.kind !== 'name') {
          cell.title = text;
        }
        return cell;
      })
    );
    return node;
  }

  private readonly id = `trtcal-table-${(Table.made += 1)}`;
  private static made = 0;

  private keydown(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.body.clientHeight / this.height) - 1);
    const last = this.shown.length - 1;
    const at = this.shown.indexOf(this.selected);
    const to: Record<string, number> = {
      ArrowUp: at - 1,
      ArrowDown: at + 1,
      PageUp: at - page,
      PageDown: at + page,
      Home: 0,
      End: last
    };
    if (!(event.key in to) || event.ctrlKey || event.metaKey || event.altKey || last < 0) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.events.onSelect(this.shown[Math.min(Math.max(to[event.key], 0), last)]);
  }
}

/** Tracks of a grid, and the least room that they take in pixels. */
const WIDTHS: Record<ColumnSpec['kind'], [track: string, least: number]> = {
  place: ['64px', 64],
  name: ['minmax(160px, 3fr)', 160],
  text: ['minmax(96px, 1.2fr)', 96],
  number: ['96px', 96],
  mono: ['84px', 84]
};

const PADDING = 40;

const roomFor = (columns: ColumnSpec[]): number => columns.reduce((sum, { kind }) => sum + WIDTHS[kind][1], PADDING);
