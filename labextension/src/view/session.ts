/** The summary of a saved session: what was recorded and chosen, without running anything. */

import { printable, pythonFloat } from '../formats/text';
import type { RowGroup } from '../facts';
import type { SessionSummary, TensorSummary } from '../session/session';
import { count, countOf, shortened, significant, typeset } from '../words';
import { h } from './dom';
import { TablePanel, type PanelState } from './panel';
import { RangesPicture } from './ranges';
import type { ColumnSpec, Rows } from './rows';

export class SessionView {
  readonly node: HTMLElement;
  private readonly panel: TablePanel;

  constructor(name: string, summary: SessionSummary, onTheme: (redraw: () => void) => () => void) {
    const values = Float64Array.from(summary.tensors, tensor => tensor.amax);
    this.panel = new TablePanel(rowsOf(summary), onPick => new RangesPicture({
      series: [{ label: 'max |x|', values, shape: 'circle', color: '--trtcal-a' }],
      size: values.length,
      what: 'max |x|',
      xLabel: 'tensor, in the order of the graph',
      hover: row => [shown(summary.tensors[row].name), `max |x| ${significant(values[row])}`],
      onPick,
      onTheme
    }));
    this.node = h('div', { class: 'trtcal-view', 'data-testid': 'trtcal-session' }, headOf(name, summary), this.panel.node);
    const selected = summary.tensors.findIndex(tensor => tensor.name === summary.selected);
    if (selected >= 0) {
      this.panel.select(selected);
    }
  }

  get state(): PanelState {
    return this.panel.state;
  }

  restore(state: PanelState): void {
    this.panel.restore(state);
  }

  focus(): void {
    this.panel.focus();
  }

  dispose(): void {
    this.panel.dispose();
  }
}

function headOf(name: string, s: SessionSummary): HTMLElement {
  const facts: [string, string][] = [
    ['Model', `${s.model}, opset ${s.opset}, ${countOf(s.nodes, 'layer')}, sha256 ${s.sha256.slice(0, 12)}…`],
    ['Data', s.source],
    ['Recorded', recordedText(s)],
    ['Ranges', s.rangeMode === 'tensorrt' ? "as TensorRT's: one pass, doubling from the first batch" : 'two passes: the range of every tensor first'],
    ['Counted', countedText(s)],
    ['Thresholds', `${s.method}; ${s.choices ? `chosen by hand for ${countOf(s.choices, 'tensor or group', 'tensors or groups')}` : 'nothing chosen by hand'}`],
    ['Written by', `${s.writtenBy}, run with ${s.runner}`]
  ];
  return h(
    'div',
    { class: 'trtcal-header' },
    h(
      'div',
      { class: 'trtcal-title' },
      h('strong', { text: printable(name), title: name }),
      h('span', { class: 'trtcal-faint', text: `Calibration session · ${countOf(s.tensors.length, 'tensor')}` })
    ),
    h(
      'dl',
      { class: 'trtcal-summary', 'data-testid': 'trtcal-summary' },
      ...facts.flatMap(([label, text]) => [h('dt', { text: label }), h('dd', { text: printable(text), title: printable(text) })])
    )
  );
}

function recordedText(s: SessionSummary): string {
  const batches = s.batches !== null && s.batches !== s.recorded ? `${count(s.recorded)} of ${countOf(s.batches, 'batch', 'batches')}` : countOf(s.recorded, 'batch', 'batches');
  const size = s.batchSize === null ? '' : ` of ${count(s.batchSize)}`;
  const samples = s.totalSamples !== null && s.totalSamples !== s.samples ? `${count(s.samples)} of ${countOf(s.totalSamples, 'sample')}` : countOf(s.samples, 'sample');
  return `${batches}${size}, ${samples}${s.dropped ? `, ${count(s.dropped)} dropped` : ''}`;
}

function countedText(s: SessionSummary): string {
  const counted = new Set(s.counted);
  const left = Array.from({ length: Math.min(s.position, s.recorded) }, (_, batch) => batch).filter(batch => !counted.has(batch));
  const named = left.slice(0, 8).map(batch => batch + 1).join(', ');
  const out = [
    ...(left.length ? [`${named}${left.length > 8 ? ` and ${count(left.length - 8)} more` : ''}`] : []),
    ...(s.samplesOut.length ? [countOf(s.samplesOut.length, 'single sample')] : [])
  ];
  return [countOf(s.counted.length, 'batch', 'batches'), ...(out.length ? [`left out: ${out.join(', ')}`] : [])].join('; ');
}

function rowsOf(s: SessionSummary): Rows {
  const { tensors } = s;
  const shown = tensors.map(({ name }) => printable(name));
  const folded = shown.map(name => name.toLowerCase());
  const number = (key: 'minimum' | 'maximum' | 'amax', label: string, title: string): ColumnSpec => ({
    key,
    label,
    kind: 'number',
    title,
    sort: row => tensors[row][key],
    largestFirst: true,
    spare: key !== 'amax',
    cell: row => typeset(tensors[row][key], 4)
  });
  return {
    size: tensors.length,
    noun: ['tensor', 'tensors'],
    label: 'Tensors of the session',
    columns: [
      { key: 'graph', spare: true, label: '#', kind: 'place', title: 'Place in the graph', cell: row => String(row + 1) },
      { key: 'name', label: 'tensor', kind: 'name', title: 'Name of the tensor', sort: row => folded[row], cell: row => shown[row] },
      { key: 'op', label: 'made by', kind: 'text', title: 'Layer that makes it', sort: row => madeBy(tensors[row]), cell: row => printable(madeBy(tensors[row])) },
      { key: 'shape', spare: true, label: 'shape', kind: 'text', title: 'Shape', sort: row => tensors[row].shape, cell: row => printable(tensors[row].shape) },
      number('minimum', 'min', 'Smallest value in the counted batches'),
      number('maximum', 'max', 'Largest value in the counted batches'),
      number('amax', 'max |x|', 'Largest magnitude in the counted batches: the minmax threshold'),
      { key: 'choice', label: 'threshold', kind: 'text', title: 'What decides its threshold: the method of the session, or what was chosen for it', sort: row => choiceText(tensors[row], s.method), cell: row => printable(choiceText(tensors[row], s.method)) }
    ],
    groups: groupsOf(tensors),
    severity: row => (tensors[row].nans || tensors[row].infs ? 'error' : tensors[row].amax === 0 ? 'warning' : undefined),
    searched: row => [shown[row]],
    names: shown,
    detail: row => {
      const tensor = tensors[row];
      return { name: tensor.name, numbers: numbersOf(tensor, s), notes: notesOf(tensor), picture: batchBars(tensor, s) };
    }
  };
}

const madeBy = ({ kind, opType }: TensorSummary): string => opType || kind;

function choiceText({ choice }: TensorSummary, method: string): string {
  return choice === null ? method : 'method' in choice ? choice.method : `±${typeset(choice.amax, 4)}`;
}

function groupsOf(tensors: TensorSummary[]): RowGroup[] {
  const kinds: [string, string, RowGroup['severity'], string, (tensor: TensorSummary) => boolean][] = [
    ['inf', 'infinite values', 'error', 'These tensors held infinities, which are counted and left out of the histograms. TensorRT would write an infinite scale.', t => t.infs > 0],
    ['nan', 'NaN', 'error', 'These tensors held NaN, which are counted and left out of the histograms: find the layer that makes them.', t => t.nans > 0],
    ['zero', 'all zero', 'warning', 'Every value is 0: the scale is 0, and TensorRT runs the layer in higher precision.', t => t.amax === 0],
    ['empty', 'no values', 'info', 'No counted batch has values of these tensors.', t => Number.isNaN(t.amax)],
    ['chosen', 'chosen by hand', 'info', 'Their threshold does not follow the method of the session.', t => t.choice !== null],
    ['shared', 'shared scale', 'info', 'These tensors share a scale with another one.', t => t.group.length > 1]
  ];
  return kinds
    .map(([key, label, severity, text, is]) => ({
      key,
      label,
      severity,
      text,
      rows: tensors.map((_, row) => row).filter(row => is(tensors[row]))
    }))
    .filter(({ rows }) => rows.length > 0);
}

function numbersOf(tensor: TensorSummary, s: SessionSummary): [string, string][] {
  return [
    ['min', pythonFloat(tensor.minimum)],
    ['max', pythonFloat(tensor.maximum)],
    ['max |x|', pythonFloat(tensor.amax)],
    ['zeros', count(tensor.zeros)],
    ['NaN', count(tensor.nans)],
    ['infinite', count(tensor.infs)],
    ['type', tensor.dtype],
    [tensor.choice ? 'chosen threshold' : 'threshold', choiceText(tensor, s.method)]
  ];
}

const shown = (name: string): string => shortened(printable(name));

function notesOf({ group }: TensorSummary): string[] {
  return group.length > 1 ? [`One scale for ${group.map(shown).join(', ')}; the histogram of ${shown(group[0])} decides.`] : [];
}

const MOST_BARS = 240;

/** The largest number; NaN where there is none. */
const largestOf = (values: number[]): number => values.reduce((a, b) => (a >= b || Number.isNaN(b) ? a : b), NaN);

/** max |x| of each recorded batch, as bars; batches that are not counted are faint. */
function batchBars(tensor: TensorSummary, s: SessionSummary): HTMLElement | undefined {
  const { perBatch } = tensor;
  if (perBatch.length < 2) {
    return undefined;
  }
  const largest = largestOf(perBatch) || 0;
  const counted = new Set(s.counted);
  const bars = h('div', { class: 'trtcal-bars', role: 'img', 'aria-label': `Largest magnitude in each of ${perBatch.length} batches` });
  const each = Math.ceil(perBatch.length / MOST_BARS);
  for (let batch = 0; batch < perBatch.length; batch += each) {
    const value = largestOf(perBatch.slice(batch, batch + each));
    const name = each === 1 ? `batch ${batch + 1}` : `batches ${batch + 1} to ${Math.min(batch + each, perBatch.length)}`;
    const faint = each === 1 && !counted.has(batch);
    const bar = h('span', { class: 'trtcal-bar', title: `${name}: max |x| ${typeset(value, 4)}${faint ? ', not counted' : ''}`, 'data-faint': faint });
    bar.style.height = `${largest > 0 && value > 0 ? Math.max(4, (100 * value) / largest) : 2}%`;
    bars.append(bar);
  }
  return h('div', { class: 'trtcal-batches' }, h('span', { class: 'trtcal-faint', text: 'max |x| by batch' }), bars);
}
