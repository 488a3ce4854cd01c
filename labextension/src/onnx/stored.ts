/** What an ONNX file stores, in words. */

import { count, countOf } from '../words';
import type { OnnxModel } from './model';
import type { StoredTensor } from './tensors';

/** How much is stored, of which types, and where: in initializers, in Constant nodes, in subgraphs and functions. */
export function storedText(model: OnnxModel): string {
  const constants = [...model.constants.values()];
  const all = [...model.initializers.values(), ...constants, ...model.inner];
  if (!all.length) {
    return 'none';
  }
  const types = new Map<string, number>();
  all.forEach(({ dtype, values }) => types.set(dtype, (types.get(dtype) ?? 0) + values));
  const byType = [...types].sort(([, a], [, b]) => b - a).map(([dtype, n]) => (types.size === 1 ? dtype : `${count(n)} ${dtype}`));
  const places = [
    ...(constants.length ? [`${count(constants.length)} in Constant nodes`] : []),
    ...(model.inner.length ? [`${count(model.inner.length)} inside of layers`] : [])
  ];
  const text = `${countOf(valuesIn(all), 'value')} in ${countOf(all.length, 'tensor')}${places.length ? ` (${places.join(', ')})` : ''}: ${byType.join(', ')}`;
  const outside = all.filter(({ file }) => file !== null);
  const files = [...new Set(outside.map(({ file }) => file || 'a file without a name'))];
  return files.length
    ? `${text}; ${outside.length < all.length ? `${count(outside.length)} of them ` : ''}in ${filesText(files)} beside the model`
    : text;
}

const filesText = (files: string[]): string =>
  files.length > 3 ? countOf(files.length, 'file') : files.join(', ');

export const valuesIn = (tensors: StoredTensor[]): number => tensors.reduce((sum, { values }) => sum + values, 0);
