/** Tensors of an ONNX file: what is stored is described without reading its values. */

import type { ByteSource } from '../bytes';
import { addAll, BYTES, bytes, fields, fieldsOf, text, VARINT, varintsIn, type Field } from './protobuf';

export interface OnnxTensor {
  name: string;
  dtype: string;
  /** Null where it is not known. */
  shape: (number | string)[] | null;
}

/** A tensor whose values the file, or one beside it, holds. */
export interface StoredTensor extends OnnxTensor {
  shape: number[];
  /** How many values are stored: of a sparse tensor those that are not zero. */
  values: number;
  /** The file beside the model that holds them; null where the model itself does. */
  file: string | null;
}

/** Element types by number, as onnx.proto3 has them. */
const DTYPES: Record<number, string> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
  25: 'uint2',
  26: 'int2',
  27: 'float6e2m3',
  28: 'float6e3m2'
};

export const dtypeOf = (n: number): string => DTYPES[n] ?? (n === 0 ? 'no type' : `type ${n}`);

const product = (shape: number[]): number => shape.reduce((n, size) => n * Math.max(size, 0), 1);

/** Name, type and shape of a stored tensor; its values are stepped over. */
export async function readStored(source: ByteSource, tensor: Field): Promise<StoredTensor> {
  const shape: number[] = [];
  const found: StoredTensor = { name: '', dtype: dtypeOf(0), shape, values: 0, file: null };
  let isExternal = false;
  let file = '';
  for await (const field of fieldsOf(source, tensor.start, tensor.end)) {
    if (field.number === 1 && field.wire === VARINT) {
      shape.push(field.value);
    } else if (field.number === 1 && field.wire === BYTES) {
      addAll(shape, varintsIn(await bytes(source, field)));
    } else if (field.number === 2 && field.wire === VARINT) {
      found.dtype = dtypeOf(field.value);
    } else if (field.number === 8 && field.wire === BYTES) {
      found.name = text(await bytes(source, field));
    } else if (field.number === 13 && field.wire === BYTES) {
      const [key, value] = readEntry(await bytes(source, field));
      file = key === 'location' ? value : file;
    } else if (field.number === 14 && field.wire === VARINT) {
      isExternal = field.value === 1;
    }
  }
  return { ...found, values: product(shape), file: isExternal ? file : null };
}

/** Key and value of a StringStringEntryProto. */
function readEntry(data: Uint8Array): [string, string] {
  const entry: [string, string] = ['', ''];
  for (const field of fields(data)) {
    if (field.number === 1 || field.number === 2) {
      entry[field.number - 1] = text(data.subarray(field.start, field.end));
    }
  }
  return entry;
}

/** A sparse tensor: the shape is that of the whole, the values are those that are not zero. */
export async function readSparse(source: ByteSource, sparse: Field): Promise<StoredTensor> {
  const shape: number[] = [];
  let found: StoredTensor = { name: '', dtype: dtypeOf(0), shape, values: 0, file: null };
  for await (const field of fieldsOf(source, sparse.start, sparse.end)) {
    if (field.number === 1 && field.wire === BYTES) {
      found = await readStored(source, field);
    } else if (field.number === 3 && field.wire === VARINT) {
      shape.push(field.value);
    } else if (field.number === 3 && field.wire === BYTES) {
      addAll(shape, varintsIn(await bytes(source, field)));
    }
  }
  return { ...found, shape };
}
