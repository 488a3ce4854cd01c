/** The viewer of scale files: what a cache or a neighbouring table holds, alone or beside another one. */

import { DESCRIPTIONS } from '../formats/detect';
import { FOUR_DIGITS_BELOW, headerFits } from '../formats/fit';
import { KNOWN_ALGORITHMS } from '../formats/header';
import type { Oddity } from '../formats/oddities';
import { scaleOfBits, type ScaleFile } from '../formats/reading';
import { FormatError, printable, pythonFloat } from '../formats/text';
import { ratioOf, readFacts, type Facts } from '../facts';
import { count, countOf, shortened, significant, typeset } from '../words';
import { h } from './dom';
import { TablePanel, type Fit, type PanelState } from './panel';
import { RangesPicture, type Series } from './ranges';
import type { ColumnSpec, Rows } from './rows';

const VERSIONS = ['8.4.1', '8.5.3', '8.6.1', '10.0.1', '10.3.0', '10.9.0', '10.12.0', '10.14.1', '10.16.1', '11.0.0'];
const KINDS = { reuse: 'ok', recalibrate: 'warning', unsupported: 'error' };

export interface NamedFile {
  name: string;
  file: ScaleFile;
}

export class ScaleFileView {
  readonly node: HTMLElement;
  private readonly panel: TablePanel;
  private readonly fit: FitQuestion | null;

  constructor(
    a: NamedFile,
    b: NamedFile | null,
    onTheme: (redraw: () => void) => () => void,
    onEndComparison: () => void
  ) {
    const facts = readFacts(a.file, b?.file ?? null);
    this.panel = new TablePanel(rowsOf(facts), onPick => new RangesPicture({
      series: seriesOf(facts),
      size: facts.names.length,
      what: '±amax',
      xLabel: 'row, in the order of the file',
      hover: (row, series) => hoverOf(facts, row, series),
      onPick,
      onTheme
    }));
    this.fit = a.file.header && new FitQuestion(a.file);
    this.node = h(
      'div',
      { class: 'trtcal-view', 'data-testid': 'trtcal-scale-file' },
      headOf(a, b, facts, this.fit?.node ?? null, onEndComparison),
      this.panel.node
    );
  }

  get state(): PanelState {
    return { ...this.panel.state, fit: this.fit?.chosen };
  }

  restore(state: PanelState): void {
    if (state.fit) {
      this.fit?.choose(state.fit);
    }
    this.panel.restore(state);
  }

  focus(): void {
    this.panel.focus();
  }

  dispose(): void {
    this.panel.dispose();
  }
}

function headOf(
  a: NamedFile,
  b: NamedFile | null,
  facts: Facts,
  fit: HTMLElement | null,
  onEndComparison: () => void
): HTMLElement {
  const head = h('div', { class: 'trtcal-header' }, titleOf(a, b ? 'A' : ''));
  if (b) {
    const title = titleOf(b, 'B');
    title.append(
      h('button', {
        type: 'button',
        class: 'trtcal-copy',
        text: 'End comparison',
        'data-testid': 'trtcal-end-comparison',
        on: { click: onEndComparison }
      })
    );
    head.append(title);
  }
  if (fit) {
    head.append(fit);
  }
  const remarks = remarksOf(facts);
  if (remarks.length) {
    head.append(
      h(
        'ul',
        { class: 'trtcal-remarks', 'data-testid': 'trtcal-remarks' },
        ...remarks
      )
    );
  }
  return head;
}

/** Blank lines and tensors that are left out can be many: so many remarks of one kind are seen, the others on request. */
const SEEN = 3;
const MOST_OPENED = 1000;

/** What there is to say about the file as a whole, kind by kind. */
function remarksOf({ file, remarks }: Facts): HTMLElement[] {
  const kinds = new Map<string, Oddity[]>();
  for (const oddity of remarks) {
    kinds.set(oddity.kind, kinds.get(oddity.kind) ?? []);
    kinds.get(oddity.kind)!.push(oddity);
  }
  const said = [...kinds.values()].flatMap(found => [
    ...found.slice(0, SEEN).map(remark),
    ...(found.length > SEEN ? [more(found.slice(SEEN))] : [])
  ]);
  const { header } = file;
  if (header?.version && header.version[0] >= FOUR_DIGITS_BELOW) {
    said.push(h('li', { 'data-kind': 'info', text: printable(headerFits(file, '8.6.1', header.algorithm).message) }));
  }
  return said;
}

const remark = ({ severity, message, line }: Oddity): HTMLElement =>
  h('li', { 'data-kind': severity, text: printable(line ? `Line ${count(line)}: ${message}` : message) });

/** The other remarks of a kind, made when they are asked for. */
function more(found: Oddity[]): HTMLElement {
  const list = h('ul', { class: 'trtcal-remarks' });
  const open = (): void => {
    if (!list.hasChildNodes()) {
      list.append(...found.slice(0, MOST_OPENED).map(remark));
      if (found.length > MOST_OPENED) {
        list.append(h('li', { text: `and ${count(found.length - MOST_OPENED)} more` }));
      }
    }
  };
  const summary = h('summary', { text: `${count(found.length)} more like ${found.length > 1 ? 'these' : 'this'}` });
  return h('li', { 'data-kind': found[0].severity }, h('details', { on: { toggle: open }, 'data-testid': `trtcal-more-${found[0].kind}` }, summary, list));
}

function titleOf({ name, file }: NamedFile, letter: string): HTMLElement {
  const what = DESCRIPTIONS[file.format].replace(/^an? /, '');
  const parts = [what[0].toUpperCase() + what.slice(1)];
  if (file.header) {
    parts.push(printable(file.header.algorithm));
    if (file.header.legacy) {
      const [quantile, cutoff] = file.header.legacy;
      parts.push(`quantile ${quantile}, cutoff ${cutoff}`);
    } else {
      parts.push(file.header.version ? `TensorRT ${file.header.version.join('.')}` : 'no known version');
    }
  }
  parts.push(countOf(new Set(file.rows.map(row => row.name)).size, 'tensor'));
  return h(
    'div',
    { class: 'trtcal-title', 'data-testid': `trtcal-title${letter && `-${letter.toLowerCase()}`}` },
    letter ? h('span', { class: `trtcal-letter trtcal-letter-${letter.toLowerCase()}`, text: letter }) : null,
    h('strong', { text: printable(name), title: name }),
    h('span', { class: 'trtcal-faint', text: parts.join(' · ') })
  );
}

/** "Would TensorRT 8.6.1 take it with EntropyCalibration2?" */
class FitQuestion {
  readonly node: HTMLElement;
  /** What was asked; null as long as nothing was chosen. */
  chosen: Fit | null = null;
  private readonly version: HTMLSelectElement;
  private readonly algorithm: HTMLSelectElement;
  private readonly verdict: HTMLElement;

  constructor(private readonly file: ScaleFile) {
    const header = file.header!;
    this.verdict = h('span', { class: 'trtcal-verdict', role: 'status', 'data-testid': 'trtcal-verdict' });
    const own = header.version && header.version[0] < 11 ? header.version.join('.') : '';
    const versions = [...new Set(own ? [...VERSIONS, own] : VERSIONS)].sort(byVersion);
    this.version = select('TensorRT version', 'trtcal-version', versions, own || '8.6.1');
    this.algorithm = select(
      'Calibrator',
      'trtcal-algorithm',
      KNOWN_ALGORITHMS,
      KNOWN_ALGORITHMS.includes(header.algorithm) ? header.algorithm : KNOWN_ALGORITHMS[0]
    );
    for (const node of [this.version, this.algorithm]) {
      node.addEventListener('change', () => {
        this.chosen = { version: this.version.value, algorithm: this.algorithm.value };
        this.answer();
      });
    }
    this.node = h(
      'div',
      { class: 'trtcal-fit' },
      h('span', { text: 'Would TensorRT' }),
      this.version,
      h('span', { text: 'take it with' }),
      this.algorithm,
      h('span', { text: '?' }),
      this.verdict
    );
    this.answer();
  }

  /** Ask again what was asked of the file before. */
  choose(fit: Fit): void {
    if ([...this.version.options].some(({ value }) => value === fit.version)) {
      this.version.value = fit.version;
      this.algorithm.value = fit.algorithm;
      this.chosen = fit;
      this.answer();
    }
  }

  private answer(): void {
    try {
      const fit = headerFits(this.file, this.version.value, this.algorithm.value);
      this.verdict.textContent = printable(fit.message);
      this.verdict.dataset.kind = KINDS[fit.verdict];
    } catch (error) {
      if (!(error instanceof FormatError)) {
        throw error;
      }
      this.verdict.textContent = error.message;
      this.verdict.dataset.kind = 'error';
    }
  }
}

function byVersion(a: string, b: string): number {
  const [x, y] = [a, b].map(text => text.split('.').map(Number));
  return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
}

function select(label: string, testid: string, values: string[], chosen: string): HTMLSelectElement {
  const node = h('select', { class: 'trtcal-select', 'aria-label': label, 'data-testid': testid });
  node.append(...values.map(value => h('option', { value, text: value })));
  node.value = chosen;
  return node;
}

function rowsOf(facts: Facts): Rows {
  const shown = facts.names.map(printable);
  const folded = shown.map(name => name.toLowerCase());
  const { mine, theirs } = facts;
  const letter = (label: string): string => (theirs ? `A ${label}` : label);
  const hex = (bits: number): string => bits.toString(16);
  const columns: ColumnSpec[] = [
    {
      key: 'file',
      spare: true,
      label: '#',
      kind: 'place',
      title: 'Row of the file, counted without its header',
      cell: row => (mine.present[row] ? String(row + 1) : '')
    },
    { key: 'name', label: 'tensor', kind: 'name', title: 'Name of the tensor', sort: row => folded[row], cell: row => shown[row] },
    {
      key: 'amax',
      label: letter('±amax'),
      kind: 'number',
      title: 'Threshold: larger values are clipped',
      sort: row => mine.amax[row],
      largestFirst: true,
      cell: row => (mine.present[row] ? typeset(mine.amax[row], 4) : '')
    },
    {
      key: 'scale',
      spare: theirs !== null,
      label: letter('scale'),
      kind: 'number',
      title: 'Size of one INT8 step, amax / 127',
      sort: row => (mine.present[row] ? scaleOfBits(mine.bits[row]) : NaN),
      largestFirst: true,
      cell: row => (mine.present[row] ? typeset(scaleOfBits(mine.bits[row]), 4) : '')
    },
    {
      key: 'hex',
      spare: theirs !== null,
      label: letter('hex'),
      kind: 'mono',
      title: 'Scale as TensorRT writes it: the bit pattern of a float32',
      sort: row => (mine.present[row] ? mine.bits[row] : NaN),
      cell: row => (mine.present[row] ? hex(mine.bits[row]) : '')
    }
  ];
  if (theirs) {
    columns.push(
      {
        key: 'other',
        label: 'B ±amax',
        kind: 'number',
        title: 'Threshold in the second file',
        sort: row => theirs.amax[row],
        largestFirst: true,
        cell: row => (theirs.present[row] ? typeset(theirs.amax[row], 4) : '')
      },
      {
        key: 'other-hex',
        spare: true,
        label: 'B hex',
        kind: 'mono',
        title: 'Scale in the second file',
        sort: row => (theirs.present[row] ? theirs.bits[row] : NaN),
        cell: row => (theirs.present[row] ? hex(theirs.bits[row]) : '')
      },
      {
        key: 'ratio',
        label: 'B / A',
        kind: 'number',
        title: 'Size of the change',
        sort: row => Math.abs(Math.log(ratioOf(facts, row))),
        largestFirst: true,
        cell: row => (mine.present[row] && theirs.present[row] ? typeset(ratioOf(facts, row), 4) : '')
      }
    );
  }
  return {
    size: facts.names.length,
    noun: ['row', 'rows'],
    label: 'Rows of the file',
    columns,
    groups: facts.groups,
    severity: row => facts.severities.get(row),
    searched: row => [shown[row]],
    names: shown,
    detail: row => ({ name: facts.names[row], numbers: numbersOf(facts, row), notes: (facts.notes.get(row) ?? []).map(printable) })
  };
}

function numbersOf(facts: Facts, row: number): [string, string][] {
  const { mine, theirs } = facts;
  const numbers: [string, string][] = [];
  for (const [letter, column] of [['A', mine], ['B', theirs]] as const) {
    if (column?.present[row]) {
      const prefix = theirs ? `${letter} ` : '';
      numbers.push(
        [`${prefix}±amax`, pythonFloat(column.amax[row])],
        [`${prefix}scale`, pythonFloat(scaleOfBits(column.bits[row]))],
        [`${prefix}hex`, column.bits[row].toString(16)]
      );
    }
  }
  if (theirs && mine.present[row] && theirs.present[row]) {
    numbers.push(['B / A', pythonFloat(ratioOf(facts, row))]);
  }
  return numbers;
}

function seriesOf({ mine, theirs }: Facts): Series[] {
  const a = { label: theirs ? 'A ±amax' : '±amax', values: mine.amax, present: mine.present, shape: 'circle', color: '--trtcal-a' } as const;
  return theirs
    ? [a, { label: 'B ±amax', values: theirs.amax, present: theirs.present, shape: 'diamond', color: '--trtcal-b' }]
    : [a];
}

function hoverOf({ names, mine, theirs }: Facts, row: number, series: number): string[] {
  const column = series === 0 ? mine : theirs!;
  const prefix = theirs ? `${'AB'[series]} ` : '';
  return [shortened(printable(names[row])), `${prefix}±${significant(column.amax[row])}   ${column.bits[row].toString(16)}`];
}
