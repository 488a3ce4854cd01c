/** Which files open in which viewer. Plain text stays plain text: "Open With → Editor" is always there. */

import type { DocumentRegistry } from '@jupyterlab/docregistry';

import { calibrationIcon, layersIcon } from './icons';

export const CALIBRATION_FACTORY = 'TensorRT calibration';
export const LAYERS_FACTORY = 'ONNX layers';

/** Names of tables without an ending of their own: CalibrationTable, cifar10-calib40, calibration_table.txt. */
const TABLE = '^[^.]*[Cc][Aa][Ll][Ii][Bb](?:[^.]*|[^.]*[Tt][Aa][Bb][Ll][Ee][^.]*\\.txt)$';

/** resnet50.dynamic-range.txt, model_dynamic_ranges.txt, per_tensor_dynamic_range.txt. */
const RANGES = '[Dd]ynamic[-_ .]?[Rr]anges?[^/]*\\.txt$';

export const CALIBRATION_TYPES: Partial<DocumentRegistry.IFileType>[] = [
  {
    name: 'trtcal-cache',
    displayName: 'TensorRT calibration cache',
    extensions: ['.cache', '.calib'],
    mimeTypes: ['text/plain'],
    fileFormat: 'text',
    icon: calibrationIcon
  },
  {
    name: 'trtcal-table',
    displayName: 'Legacy TensorRT calibration table',
    extensions: [],
    pattern: TABLE,
    mimeTypes: ['text/plain'],
    fileFormat: 'text',
    icon: calibrationIcon
  },
  {
    name: 'trtcal-ranges',
    displayName: 'TensorRT dynamic ranges',
    extensions: [],
    pattern: RANGES,
    mimeTypes: ['text/plain'],
    fileFormat: 'text',
    icon: calibrationIcon
  },
  {
    name: 'trtcal-flatbuffers',
    displayName: 'ONNX Runtime calibration table',
    extensions: ['.flatbuffers'],
    mimeTypes: ['application/octet-stream'],
    fileFormat: 'base64',
    icon: calibrationIcon
  },
  {
    name: 'trtcal-session',
    displayName: 'Calibration session',
    extensions: ['.trtcal'],
    mimeTypes: ['application/zip'],
    fileFormat: 'base64',
    icon: calibrationIcon
  }
];

export const ONNX_TYPE: Partial<DocumentRegistry.IFileType> = {
  name: 'onnx',
  displayName: 'ONNX model',
  extensions: ['.onnx'],
  mimeTypes: ['application/octet-stream'],
  fileFormat: 'base64',
  icon: layersIcon
};

/** Endings of files that may be scale files, beside those that surely are. */
const POSSIBLE = ['txt', 'json', 'encodings', 'table', 'dat', 'ranges'];

export function isScaleFileName(name: string): boolean {
  return /\.(?:cache|calib|flatbuffers)$/i.test(name) || new RegExp(TABLE).test(name) || new RegExp(RANGES).test(name);
}

/** Whether a file may hold scales, by its name: the content decides. */
export function looksLikeScaleFile(name: string): boolean {
  const ending = name.includes('.') ? name.split('.').pop()!.toLowerCase() : '';
  return isScaleFileName(name) || ending === '' || POSSIBLE.includes(ending);
}

export const isOnnxName = (name: string): boolean => /\.onnx$/i.test(name);

export const isSessionName = (name: string): boolean => /\.trtcal$/i.test(name);
