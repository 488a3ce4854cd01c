/** The layers of an ONNX model. */

import type { RowGroup } from '../facts';
import { printable } from '../formats/text';
import type { OnnxModel, OnnxNode } from '../onnx/model';
import { storedText, valuesIn } from '../onnx/stored';
import type { OnnxTensor, StoredTensor } from '../onnx/tensors';
import { count, countOf, fileSize, shortened } from '../words';
import { h } from './dom';
import { TablePanel, type PanelState } from './panel';
import type { Rows } from './rows';

const MOST_CHIPS = 12;

export class OnnxView {
  readonly node: HTMLElement;
  private readonly panel: TablePanel;

  constructor(name: string, size: number, model: OnnxModel) {
    this.panel = new TablePanel(rowsOf(model));
    this.node = h('div', { class: 'trtcal-view', 'data-testid': 'trtcal-onnx' }, headOf(name, size, model), this.panel.node);
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

function headOf(name: string, size: number, model: OnnxModel): HTMLElement {
  const opsets = model.opsets.map(({ domain, version }) => `${domain || 'ai.onnx'} ${version}`).join(', ');
  const facts: [string, string][] = [
    ['Inputs', model.inputs.map(tensorText).join('; ') || 'none'],
    ['Outputs', model.outputs.map(tensorText).join('; ') || 'none'],
    ['Weights', storedText(model)],
    ['Opset', `${opsets || 'not given'}, IR version ${model.irVersion}`],
    ['Made by', model.producer || 'not said']
  ];
  return h(
    'div',
    { class: 'trtcal-header' },
    h(
      'div',
      { class: 'trtcal-title' },
      h('strong', { text: printable(name), title: name }),
      h('span', { class: 'trtcal-faint', text: `ONNX model · ${layersText(model)} · ${fileSize(size)}` })
    ),
    h(
      'dl',
      { class: 'trtcal-summary', 'data-testid': 'trtcal-summary' },
      ...facts.flatMap(([label, text]) => [h('dt', { text: label }), h('dd', { text: printable(text), title: printable(text) })])
    )
  );
}

const layersText = ({ nodes, innerNodes }: OnnxModel): string =>
  countOf(nodes.length, 'layer') + (innerNodes ? ` and ${count(innerNodes)} inside of layers` : '');

function rowsOf(model: OnnxModel): Rows {
  const types = new Map<string, OnnxTensor>([
    ...model.initializers,
    ...model.constants,
    ...model.values,
    ...[...model.inputs, ...model.outputs].map((tensor): [string, OnnxTensor] => [tensor.name, tensor])
  ]);
  const { nodes } = model;
  const names = nodes.map((node, row) => printable(node.name || `${node.opType}_${row}`));
  const ops = nodes.map(({ domain, opType }) => printable(domain && domain !== 'ai.onnx' ? `${domain}.${opType}` : opType));
  const first = nodes.map(({ outputs }) => types.get(outputs[0] ?? ''));
  const weights = nodes.map(node => valuesIn(weightsOf(node, model)));
  return {
    size: nodes.length,
    noun: ['layer', 'layers'],
    label: 'Layers of the model',
    columns: [
      { key: 'file', spare: true, label: '#', kind: 'place', title: 'Place in the file', cell: row => String(row + 1) },
      { key: 'op', label: 'operator', kind: 'text', title: 'Operator', sort: row => ops[row].toLowerCase(), cell: row => ops[row] },
      { key: 'name', label: 'layer', kind: 'name', title: 'Name of the layer', sort: row => names[row].toLowerCase(), cell: row => names[row] },
      { key: 'output', spare: true, label: 'output', kind: 'name', title: 'What it makes: the name of the row in a calibration cache', sort: row => (nodes[row].outputs[0] ?? '').toLowerCase(), cell: row => printable(nodes[row].outputs[0] ?? '') },
      { key: 'shape', label: 'shape', kind: 'text', title: 'Shape of the output, where the file has it', sort: row => typeText(first[row]), cell: row => typeText(first[row]) },
      { key: 'weights', label: 'weights', kind: 'number', title: 'Stored values that it reads or holds', sort: row => weights[row], largestFirst: true, cell: row => (weights[row] ? count(weights[row]) : '') }
    ],
    groups: groupsOf(ops),
    severity: () => undefined,
    searched: row => [names[row], ops[row], ...nodes[row].outputs.map(printable)],
    names,
    detail: row => ({
      name: nodes[row].name || names[row],
      numbers: [['operator', ops[row]], ['weights', count(weights[row])]],
      notes: [
        ...nodes[row].inputs.filter(Boolean).map(name => `reads ${described(name, types)}`),
        ...nodes[row].outputs.filter(Boolean).map(name => `makes ${described(name, types)}`)
      ]
    })
  };
}

/** The most frequent operators as filters. */
function groupsOf(ops: string[]): RowGroup[] {
  const rows = new Map<string, number[]>();
  ops.forEach((op, row) => {
    const list = rows.get(op);
    if (list) {
      list.push(row);
    } else {
      rows.set(op, [row]);
    }
  });
  return [...rows]
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, MOST_CHIPS)
    .map(([op, list]) => ({ key: `op-${op}`, label: op, severity: 'info', text: '', rows: list }));
}

/** What a layer reads that is stored; of a Constant node what it holds. */
const weightsOf = ({ inputs, outputs }: OnnxNode, { initializers, constants }: OnnxModel): StoredTensor[] =>
  [...inputs.map(name => initializers.get(name) ?? constants.get(name)), ...outputs.map(name => constants.get(name))].filter(
    (tensor): tensor is StoredTensor => tensor !== undefined
  );

const shapeText = (shape: OnnxTensor['shape']): string => (shape ? `[${shape.join(',')}]` : '[?]');

const typeText = (tensor: OnnxTensor | undefined): string =>
  tensor ? printable(`${tensor.dtype}${shapeText(tensor.shape)}`) : '';

export const tensorText = (tensor: OnnxTensor): string => printable(`${tensor.name} ${tensor.dtype}${shapeText(tensor.shape)}`);

function described(name: string, types: Map<string, OnnxTensor>): string {
  return `${shortened(printable(name))} ${typeText(types.get(name))}`.trim();
}
