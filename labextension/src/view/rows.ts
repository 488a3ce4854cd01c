/** What a table shows: any number of rows, their columns, and groups of rows as filters. */

import type { RowGroup } from '../facts';
import type { Severity } from '../formats/oddities';
import { matcher } from '../search';

export interface ColumnSpec {
  key: string;
  label: string;
  kind: 'place' | 'name' | 'text' | 'number' | 'mono';
  title: string;
  /** What the rows are sorted by; text in alphabetical order, numbers that are NaN last. */
  sort?: (row: number) => number | string;
  /** Whether the largest come first when it is clicked. */
  largestFirst?: boolean;
  /** Whether it is left out where the table has no room for all: what it shows is in the details of the row too. */
  spare?: boolean;
  cell: (row: number) => string;
}

export interface RowDetail {
  /** The name itself, for copying: what is shown of it has its invisible characters written out. */
  name: string;
  numbers: [string, string][];
  notes: string[];
  picture?: HTMLElement;
}

export interface Rows {
  size: number;
  /** One and many of them: "row", "rows". */
  noun: [string, string];
  /** What the table is, for screen readers. */
  label: string;
  columns: ColumnSpec[];
  groups: RowGroup[];
  severity: (row: number) => Severity | undefined;
  /** Names that a search looks through. */
  searched: (row: number) => string[];
  detail: (row: number) => RowDetail;
  /** What the rows are called, as it is shown. */
  names: string[];
}

export const ALL = 'all';

export interface Arrangement {
  search: string;
  group: string;
  sort: string;
  descending: boolean;
}

/** Indices of the rows to show, in their order. */
export function arrange(rows: Rows, { search, group, sort, descending }: Arrangement): number[] {
  const chosen = rows.groups.find(({ key }) => key === group)?.rows;
  let found = chosen ? [...chosen] : Array.from({ length: rows.size }, (_, row) => row);
  if (search.trim()) {
    const { fits } = matcher(search);
    found = found.filter(row => rows.searched(row).some(fits));
  }
  const value = rows.columns.find(({ key }) => key === sort)?.sort;
  if (!value) {
    return descending ? found.reverse() : found;
  }
  const values = new Map(found.map(row => [row, value(row)]));
  const sign = descending ? -1 : 1;
  return found.sort((a, b) => {
    const [x, y] = [values.get(a)!, values.get(b)!];
    const [noX, noY] = [Number.isNaN(x), Number.isNaN(y)];
    if (noX || noY) {
      return Number(noX) - Number(noY);
    }
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  });
}
