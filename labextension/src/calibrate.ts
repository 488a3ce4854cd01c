/** "Calibrate for TensorRT…": asks for what the notebook needs, and makes it. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { FileDialog } from '@jupyterlab/filebrowser';
import { Widget } from '@lumino/widgets';

import { askForFile } from './contents';
import type { Services } from './document';
import { folderOf, nameOf, openBytes } from './files';
import { isOnnxName } from './filetypes';
import { printable } from './formats/text';
import { calibrationNotebook, relativePath, writeNotebook, type Kernel } from './notebooks';
import { readOnnx, type OnnxModel } from './onnx/model';
import { OnnxError } from './onnx/protobuf';
import { h } from './view/dom';
import { tensorText } from './view/onnx';

const LARGEST_WHOLE = 256e6;
const TARGETS: [string, string][] = [
  ['8.6.1', 'TensorRT 8: a calibration cache'],
  ['10.16.1', 'TensorRT 10: a calibration cache'],
  ['11', 'TensorRT 10 or 11: an explicit Q/DQ model']
];

interface Answers {
  batchSize: number;
  version: string;
}

/** Ask for model (where none is given), data and options; returns the notebook's path, null where the user cancels. */
export async function calibrate(services: Services, kernel: Kernel | null, given: string, near: string): Promise<string | null> {
  const model = given || (await askForFile(services, 'Choose an ONNX model', isOnnxName, near ? `${near}/x` : ''));
  if (!model) {
    return null;
  }
  const facts = await readModel(services, model);
  const folder = await FileDialog.getExistingDirectory({
    manager: services.docManager,
    title: 'Choose the folder with the calibration data',
    defaultPath: folderOf(model)
  });
  if (!folder.button.accept || !folder.value?.length) {
    return null;
  }
  const data = folder.value[0].path;
  const form = new OptionsForm(model, data, facts);
  const answer = await showDialog({
    title: 'Calibrate for TensorRT',
    body: form,
    focusNodeSelector: 'input',
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Make the notebook' })]
  });
  if (!answer.button.accept || !answer.value) {
    return null;
  }
  const { contents } = services;
  const home = folderOf(model);
  const local = (path: string): string => contents.localPath(path);
  const cells = calibrationNotebook({
    model: relativePath(local(home), local(model)),
    data: relativePath(local(home), local(data)),
    ...answer.value
  });
  const stem = nameOf(model).replace(/\.onnx$/i, '');
  return writeNotebook(contents, home, `calibrate-${stem}`, cells, kernel);
}

/** The model's facts, to help with the form; null where the server does not give them. Throws where it is no model. */
async function readModel({ contents, settings }: Services, path: string): Promise<OnnxModel | null> {
  try {
    return await readOnnx(await openBytes(contents, path, settings, LARGEST_WHOLE), nameOf(path));
  } catch (error) {
    if (error instanceof OnnxError) {
      throw error; // rather than a notebook whose first cell fails
    }
    return null;
  }
}

class OptionsForm extends Widget implements Dialog.IBodyWidget<Answers> {
  private readonly batchSize: HTMLInputElement;
  private readonly version: HTMLSelectElement;

  constructor(model: string, data: string, facts: OnnxModel | null) {
    super();
    this.addClass('trtcal-form');
    const first = facts?.inputs[0]?.shape?.[0];
    const fixed = typeof first === 'number' && first > 0 ? first : null;
    this.batchSize = h('input', {
      type: 'number',
      min: '1',
      step: '1',
      class: 'jp-mod-styled',
      value: String(fixed ?? 32),
      'data-testid': 'trtcal-batch-size'
    });
    this.version = h('select', { class: 'jp-mod-styled', 'data-testid': 'trtcal-target' });
    this.version.append(...TARGETS.map(([value, text]) => h('option', { value, text })));
    const inputs = facts ? facts.inputs.map(tensorText).join('; ') : '';
    this.node.append(
      fact('Model', model),
      ...(inputs ? [fact('Input', inputs)] : []),
      fact('Data', data || '/'),
      field('Samples per batch', this.batchSize, fixed === null ? '' : `The model takes ${fixed} at a time.`),
      field('For', this.version, '')
    );
  }

  getValue(): Answers {
    return { batchSize: Math.max(1, Math.floor(this.batchSize.valueAsNumber) || 1), version: this.version.value };
  }
}

const fact = (label: string, text: string): HTMLElement =>
  h('div', { class: 'trtcal-form-fact' }, h('span', { text: label }), h('span', { text: printable(text), title: text }));

const field = (label: string, control: HTMLElement, help: string): HTMLElement =>
  h('label', { class: 'trtcal-form-field' }, h('span', { text: label }), control, h('span', { class: 'trtcal-faint', text: help }));
