/** What the viewer of scale files shows, computed once: rows, what is odd about them, how two files differ. */

import { changeOf } from './formats/compare';
import { syntheticLabel } from './formats/header';
import type { Oddity, Severity } from './formats/oddities';
import type { ScaleFile } from './formats/reading';
import { countOf } from './words';

/** Kinds of oddities of rows, in the words of the chips; all others are remarks about the file. */
const ROW_ODDITIES: Record<string, string> = {
  zero: 'scale 0',
  inf: 'infinite',
  nan: 'not a number',
  negative: 'negative',
  absurd: 'largest float',
  denormal: 'nearly 0',
  duplicate: 'name twice',
  'non-utf8': 'name not UTF-8',
  'control-character': 'control characters',
  'commented-out': 'begins with #',
  'odd-digits': 'unusual digits',
  spacing: 'extra spaces',
  'min-above-max': 'min above max'
};

export interface Column {
  /** NaN where the file has no such row. */
  amax: Float64Array;
  /** Pattern of the float32 scale; 0 where the file has no such row. */
  bits: Uint32Array;
  present: Uint8Array;
}

/** Rows that have something in common, offered as a filter. */
export interface RowGroup {
  key: string;
  label: string;
  severity: Severity;
  text: string;
  /** Row indices, ascending. */
  rows: number[];
}

export interface Facts {
  file: ScaleFile;
  other: ScaleFile | null;
  /** Rows of the file in its order, then those that only the second file has. */
  names: string[];
  mine: Column;
  theirs: Column | null;
  /** The worst first. */
  groups: RowGroup[];
  notes: Map<number, string[]>;
  /** The worst there is to say about a row; rows that are fine are not in it. */
  severities: Map<number, Severity>;
  /** About the file as a whole. */
  remarks: Oddity[];
}

const RANK: Record<Severity, number> = { error: 0, warning: 1, info: 2 };

export function readFacts(file: ScaleFile, other: ScaleFile | null = null): Facts {
  const names = file.rows.map(row => row.name);
  const index = new Map<string, number>();
  names.forEach((name, row) => index.set(name, row));
  if (other) {
    for (const { name } of other.rows) {
      if (!index.has(name)) {
        index.set(name, names.length);
        names.push(name);
      }
    }
  }
  const mine = emptyColumn(names.length);
  file.rows.forEach((row, i) => fill(mine, i, row.amax, row.bits));
  const theirs = other ? emptyColumn(names.length) : null;
  if (other && theirs) {
    const last = new Map(other.rows.map(row => [row.name, row]));
    names.forEach((name, i) => {
      const row = last.get(name);
      if (row) {
        fill(theirs, i, row.amax, row.bits);
      }
    });
  }
  const notes = new Map<number, string[]>();
  const groups = [
    ...oddityGroups(file, index, notes),
    ...syntheticGroup(file, index, notes),
    ...(theirs ? differenceGroups(names, mine, theirs) : [])
  ].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
  return {
    file,
    other,
    names,
    mine,
    theirs,
    groups,
    notes,
    severities: worst(groups),
    remarks: file.oddities.filter(oddity => !isAboutARow(oddity))
  };
}

const emptyColumn = (n: number): Column => ({
  amax: new Float64Array(n).fill(NaN),
  bits: new Uint32Array(n),
  present: new Uint8Array(n)
});

function fill(column: Column, row: number, amax: number, bits: number): void {
  column.amax[row] = amax;
  column.bits[row] = bits;
  column.present[row] = 1;
}

const isAboutARow = ({ name, kind }: Oddity): boolean => Boolean(name) && kind in ROW_ODDITIES;

function addTo<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key);
  if (list) {
    list.push(value);
  } else {
    lists.set(key, [value]);
  }
}

/** One group per kind; its worst severity and its first message stand for it. */
function oddityGroups(file: ScaleFile, index: Map<string, number>, notes: Map<number, string[]>): RowGroup[] {
  const oddities = file.oddities.filter(isAboutARow);
  const lines = new Map<number, number>();
  if (oddities.some(({ line }) => line > 0)) {
    file.rows.forEach(({ line }, row) => lines.set(line, row));
  }
  const found = new Map<string, [number, Oddity][]>();
  for (const oddity of oddities) {
    const row = (oddity.line > 0 ? lines.get(oddity.line) : undefined) ?? index.get(oddity.name)!;
    addTo(found, oddity.kind, [row, oddity]);
    addTo(notes, row, oddity.message);
  }
  return [...found].map(([kind, odd]) => {
    const severity = odd.map(([, oddity]) => oddity.severity).reduce((a, b) => (RANK[a] <= RANK[b] ? a : b));
    const { message } = odd.find(([, oddity]) => oddity.severity === severity)![1];
    const text = odd.length === 1 ? message : `${countOf(odd.length, 'row')}. ${message}`;
    return { key: kind, label: ROW_ODDITIES[kind], severity, text, rows: ascending(odd.map(([row]) => row)) };
  });
}

function syntheticGroup(file: ScaleFile, index: Map<string, number>, notes: Map<number, string[]>): RowGroup[] {
  const rows: number[] = [];
  file.rows.forEach(({ name }, row) => {
    const label = syntheticLabel(name);
    if (label && index.get(name) === row) {
      rows.push(row);
      addTo(notes, row, `Not a name of the model: ${label}.`);
    }
  });
  if (!rows.length) {
    return [];
  }
  const text =
    'TensorRT or its ONNX parser made these names up, for constants and reshapes that the model file has under ' +
    'other names or not at all. That is normal; they only fit a network that was parsed in the same way.';
  return [{ key: 'synthetic', label: 'made up by TensorRT', severity: 'info', text, rows: ascending(rows) }];
}

function differenceGroups(names: string[], mine: Column, theirs: Column): RowGroup[] {
  const kinds: [string, string, string, (row: number) => boolean][] = [
    [
      'changed',
      'changed',
      'The scale differs, if only in its last bit.',
      row => Boolean(mine.present[row] && theirs.present[row]) && mine.bits[row] !== theirs.bits[row]
    ],
    ['only-a', 'only in A', 'B has no row for these.', row => Boolean(mine.present[row] && !theirs.present[row])],
    ['only-b', 'only in B', 'A has no row for these.', row => Boolean(theirs.present[row] && !mine.present[row])],
    [
      'equal',
      'equal',
      'Bit for bit the same scale.',
      row => Boolean(mine.present[row] && theirs.present[row]) && mine.bits[row] === theirs.bits[row]
    ]
  ];
  return kinds
    .map(([key, label, text, is]): RowGroup => {
      const rows = names.map((_, row) => row).filter(is);
      return { key, label, severity: 'info', text, rows };
    })
    .filter(({ rows }) => rows.length > 0);
}

function worst(groups: RowGroup[]): Map<number, Severity> {
  const found = new Map<number, Severity>();
  for (const { key, severity, rows } of [...groups].reverse()) {
    if (key in ROW_ODDITIES || key === 'synthetic') {
      rows.forEach(row => found.set(row, severity));
    }
  }
  return found;
}

const ascending = (rows: number[]): number[] => [...new Set(rows)].sort((a, b) => a - b);

/** B over A of a row, NaN where one lacks it. */
export function ratioOf(facts: Facts, row: number): number {
  if (!facts.theirs || !facts.mine.present[row] || !facts.theirs.present[row]) {
    return NaN;
  }
  return changeOf('', facts.mine.bits[row], facts.theirs.bits[row]).ratio;
}
