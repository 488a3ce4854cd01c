/** The layers of an ONNX file, by a walk over its protobuf that steps over the weights without reading them. */

import { blockwise, type ByteSource } from '../bytes';

export class OnnxError extends Error {}

export interface OnnxTensor {
  name: string;
  dtype: string;
  /** Null where it is not known. */
  shape: (number | string)[] | null;
}

export interface OnnxNode {
  name: string;
  opType: string;
  domain: string;
  inputs: string[];
  outputs: string[];
}

export interface OnnxModel {
  irVersion: number;
  producer: string;
  opsets: { domain: string; version: number }[];
  graphName: string;
  /** What is fed: inputs that are no stored weights. */
  inputs: OnnxTensor[];
  outputs: OnnxTensor[];
  nodes: OnnxNode[];
  /** Stored weights and constants, by name. */
  initializers: Map<string, OnnxTensor>;
  /** Types of tensors between the layers, where the file has them. */
  values: Map<string, OnnxTensor>;
  external: boolean;
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
  24: 'float8e8m0'
};

const dtypeOf = (n: number): string => DTYPES[n] ?? `type ${n}`;

/** One field of a message: a number, or the place of its bytes. */
interface Field {
  number: number;
  wire: number;
  value: number;
  start: number;
  end: number;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const LONGEST_KEY = 20;
const LARGEST_MESSAGE = 1 << 28;

/** Walk over the fields of the message in [at, end). */
async function* fieldsOf(source: ByteSource, at: number, end: number): AsyncGenerator<Field> {
  while (at < end) {
    const head = await source.read(at, Math.min(at + LONGEST_KEY, end));
    const field = fieldAt(head, 0, end - at);
    yield { ...field, start: field.start + at, end: field.end + at };
    at += field.end;
  }
}

/** Fields of a small message that is in memory. */
function* fields(data: Uint8Array): Generator<Field> {
  for (let at = 0; at < data.length; ) {
    const field = fieldAt(data, at, data.length);
    yield field;
    at = field.end;
  }
}

function fieldAt(data: Uint8Array, at: number, limit: number): Field {
  const [key, afterKey] = varint(data, at);
  const wire = key % 8;
  const field = { number: Math.floor(key / 8), wire, value: 0, start: afterKey, end: afterKey };
  if (wire === VARINT) {
    [field.value, field.end] = varint(data, afterKey);
  } else if (wire === BYTES) {
    const [length, start] = varint(data, afterKey);
    field.start = start;
    field.end = start + length;
  } else if (wire === FIXED64 || wire === FIXED32) {
    field.end = afterKey + (wire === FIXED64 ? 8 : 4);
  } else {
    throw new OnnxError('a part of it is no protobuf');
  }
  if (field.number === 0 || field.end > limit) {
    throw new OnnxError(field.number === 0 ? 'a part of it is no protobuf' : 'it ends too early');
  }
  return field;
}

/** A base-128 number and the place after it. Negative ones (64-bit two's complement) come back negative. */
function varint(data: Uint8Array, at: number): [number, number] {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = data[at];
    if (byte === undefined) {
      throw new OnnxError('it ends too early');
    }
    at += 1;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) {
      return [Number(BigInt.asIntN(64, value)), at];
    }
  }
  throw new OnnxError('a part of it is no protobuf');
}

const text = (data: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(data);

/** Read the layers of a model; throws an OnnxError that says what to do. */
export async function readOnnx(file: ByteSource, name: string): Promise<OnnxModel> {
  const model: OnnxModel = {
    irVersion: 0,
    producer: '',
    opsets: [],
    graphName: '',
    inputs: [],
    outputs: [],
    nodes: [],
    initializers: new Map(),
    values: new Map(),
    external: false
  };
  try {
    const found = await readModel(blockwise(file), model);
    if (!found) {
      throw new OnnxError('it holds no graph');
    }
  } catch (error) {
    if (error instanceof OnnxError || error instanceof TypeError || error instanceof RangeError) {
      const reason = error instanceof OnnxError ? error.message : 'a name in it is not UTF-8 text';
      throw new OnnxError(`${name}: this is not an ONNX model, or it is damaged: ${reason}. Export it again.`);
    }
    throw error;
  }
  model.inputs = model.inputs.filter(({ name: input }) => !model.initializers.has(input));
  return model;
}

async function readModel(source: ByteSource, model: OnnxModel): Promise<boolean> {
  let found = false;
  let version = '';
  for await (const field of fieldsOf(source, 0, source.size)) {
    if (field.number === 1 && field.wire === VARINT) {
      model.irVersion = field.value;
    } else if (field.number === 2 && field.wire === BYTES) {
      model.producer = text(await bytes(source, field));
    } else if (field.number === 3 && field.wire === BYTES) {
      version = text(await bytes(source, field));
    } else if (field.number === 7 && field.wire === BYTES) {
      await readGraph(source, field, model);
      found = true;
    } else if (field.number === 8 && field.wire === BYTES) {
      model.opsets.push(readOpset(await bytes(source, field)));
    }
  }
  model.producer = `${model.producer} ${version}`.trim();
  return found;
}

async function bytes(source: ByteSource, { start, end }: Field): Promise<Uint8Array> {
  if (end - start > LARGEST_MESSAGE) {
    throw new OnnxError('a part of it is too large to be looked at here');
  }
  return source.read(start, end);
}

function readOpset(data: Uint8Array): { domain: string; version: number } {
  const opset = { domain: '', version: 0 };
  for (const field of fields(data)) {
    if (field.number === 1) {
      opset.domain = text(data.subarray(field.start, field.end));
    } else if (field.number === 2) {
      opset.version = field.value;
    }
  }
  return opset;
}

async function readGraph(source: ByteSource, graph: Field, model: OnnxModel): Promise<void> {
  for await (const field of fieldsOf(source, graph.start, graph.end)) {
    if (field.wire !== BYTES) {
      continue;
    }
    switch (field.number) {
      case 1:
        model.nodes.push(readNode(await bytes(source, field)));
        break;
      case 2:
        model.graphName = text(await bytes(source, field));
        break;
      case 5:
        await readInitializer(source, field, model);
        break;
      case 11:
        model.inputs.push(readValue(await bytes(source, field)));
        break;
      case 12:
        model.outputs.push(readValue(await bytes(source, field)));
        break;
      case 13: {
        const value = readValue(await bytes(source, field));
        model.values.set(value.name, value);
        break;
      }
      case 15:
        await readSparse(source, field, model);
        break;
    }
  }
}

function readNode(data: Uint8Array): OnnxNode {
  const node: OnnxNode = { name: '', opType: '', domain: '', inputs: [], outputs: [] };
  for (const field of fields(data)) {
    if (field.wire !== BYTES || field.number > 7 || field.number > 4 && field.number !== 7) {
      continue;
    }
    const value = text(data.subarray(field.start, field.end));
    if (field.number === 1) {
      node.inputs.push(value);
    } else if (field.number === 2) {
      node.outputs.push(value);
    } else if (field.number === 3) {
      node.name = value;
    } else if (field.number === 4) {
      node.opType = value;
    } else {
      node.domain = value;
    }
  }
  return node;
}

/** Name, type and shape of a stored tensor; its values are stepped over. */
async function readInitializer(source: ByteSource, tensor: Field, model: OnnxModel): Promise<void> {
  const shape: number[] = [];
  const found: OnnxTensor = { name: '', dtype: '', shape };
  for await (const field of fieldsOf(source, tensor.start, tensor.end)) {
    if (field.number === 1 && field.wire === VARINT) {
      shape.push(field.value);
    } else if (field.number === 1 && field.wire === BYTES) {
      const data = await bytes(source, field);
      for (let at = 0; at < data.length; ) {
        const [size, next] = varint(data, at);
        shape.push(size);
        at = next;
      }
    } else if (field.number === 2 && field.wire === VARINT) {
      found.dtype = dtypeOf(field.value);
    } else if (field.number === 8 && field.wire === BYTES) {
      found.name = text(await bytes(source, field));
    } else if (field.number === 14 && field.wire === VARINT) {
      model.external ||= field.value === 1;
    }
  }
  model.initializers.set(found.name, found);
}

async function readSparse(source: ByteSource, sparse: Field, model: OnnxModel): Promise<void> {
  for await (const field of fieldsOf(source, sparse.start, sparse.end)) {
    if (field.number === 1 && field.wire === BYTES) {
      await readInitializer(source, field, model);
    }
  }
}

function readValue(data: Uint8Array): OnnxTensor {
  const value: OnnxTensor = { name: '', dtype: '', shape: null };
  for (const field of fields(data)) {
    const part = data.subarray(field.start, field.end);
    if (field.number === 1) {
      value.name = text(part);
    } else if (field.number === 2) {
      readType(part, value);
    }
  }
  return value;
}

function readType(data: Uint8Array, value: OnnxTensor): void {
  const KINDS: Record<number, string> = { 4: 'sequence', 5: 'map', 8: 'sparse tensor', 9: 'optional' };
  for (const field of fields(data)) {
    if (field.number !== 1) {
      value.dtype = KINDS[field.number] ?? value.dtype;
      continue;
    }
    const tensor = data.subarray(field.start, field.end);
    for (const inner of fields(tensor)) {
      if (inner.number === 1) {
        value.dtype = dtypeOf(inner.value);
      } else if (inner.number === 2) {
        value.shape = readShape(tensor.subarray(inner.start, inner.end));
      }
    }
  }
}

function readShape(data: Uint8Array): (number | string)[] {
  const shape: (number | string)[] = [];
  for (const field of fields(data)) {
    if (field.number !== 1) {
      continue;
    }
    const dimension = data.subarray(field.start, field.end);
    let size: number | string = '?';
    for (const inner of fields(dimension)) {
      if (inner.number === 1) {
        size = inner.value;
      } else if (inner.number === 2) {
        size = text(dimension.subarray(inner.start, inner.end)) || '?';
      }
    }
    shape.push(size);
  }
  return shape;
}
