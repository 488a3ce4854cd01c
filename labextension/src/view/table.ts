/** A table of any length: only the rows in view are in the page. */

import { h, nameNode } from './dom';
import type { ColumnSpec, Rows } from './rows';

export const ROW_HEIGHT = 24;
const BEYOND = 8;

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
  private selected = -1;

  constructor(
    private readonly rows: Rows,
    private readonly events: TableEvents
  ) {
    this.heads = h('div', { class: 'trtcal-row trtcal-heads', role: 'row' });
    this.spacer = h('div', { class: 'trtcal-spacer', role: 'presentation' });
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
    this.node.style.setProperty('--trtcal-columns', rows.columns.map(width).join(' '));
    this.body.addEventListener('scroll', () => this.draw());
    this.body.addEventListener('keydown', event => this.keydown(event));
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.body);
  }

  dispose(): void {
    this.resize.disconnect();
  }

  /** Show these rows, in this order. */
  show(rows: number[], sort: string, descending: boolean): void {
    this.shown = rows;
    this.node.setAttribute('aria-rowcount', String(rows.length + 1));
    this.empty.hidden = rows.length > 0;
    this.heads.replaceChildren(...this.rows.columns.map(column => this.head(column, sort, descending)));
    const at = rows.indexOf(this.selected);
    if (at < 0) {
      this.body.scrollTop = 0;
    } else {
      this.reveal(at);
    }
    this.draw();
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
      class: `trtcal-cell trtcal-${column.kind}`,
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

  private reveal(at: number): void {
    const top = at * ROW_HEIGHT;
    const bottom = top + ROW_HEIGHT - this.body.clientHeight;
    this.body.scrollTop = Math.max(bottom, Math.min(top, this.body.scrollTop));
  }

  private draw(): void {
    const from = Math.max(0, Math.floor(this.body.scrollTop / ROW_HEIGHT) - BEYOND);
    const inView = Math.ceil((this.body.scrollTop + this.body.clientHeight) / ROW_HEIGHT);
    const to = Math.min(this.shown.length, inView + BEYOND);
    this.spacer.style.height = `${this.shown.length * ROW_HEIGHT}px`;
    this.spacer.replaceChildren(...this.shown.slice(from, to).map((row, i) => this.row(row, from + i)));
    const selected = this.spacer.querySelector('[aria-selected=true]');
    this.body.setAttribute('aria-activedescendant', selected?.id ?? '');
  }

  private row(row: number, at: number): HTMLElement {
    const node = h('div', {
      class: 'trtcal-row',
      id: `${this.id}-${row}`,
      role: 'row',
      'aria-rowindex': String(at + 2),
      'aria-selected': String(row === this.selected),
      'data-testid': 'trtcal-row',
      'data-kind': this.rows.severity(row),
      on: { click: () => this.events.onSelect(row) }
    });
    node.style.top = `${at * ROW_HEIGHT}px`;
    node.append(
      ...this.rows.columns.map(column => {
        const text = column.cell(row);
        const cell = h('span', { class: `trtcal-cell trtcal-${column.kind}`, role: 'gridcell' });
        cell.append(column.kind === 'name' ? nameNode(text) : text);
        if (column.kind === 'text') {
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
    const page = Math.max(1, Math.floor(this.body.clientHeight / ROW_HEIGHT) - 1);
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

const WIDTHS: Record<ColumnSpec['kind'], string> = {
  place: '64px',
  name: 'minmax(160px, 3fr)',
  text: 'minmax(96px, 1.2fr)',
  number: '96px',
  mono: '84px'
};

const width = ({ kind }: ColumnSpec): string => WIDTHS[kind];
