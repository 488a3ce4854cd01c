/** The layers of an ONNX file, by a walk over its protobuf that steps over the weights without reading them. */

import { blockwise, type ByteSource } from '../bytes';
import { addAll, BYTES, bytes, fields, fieldsOf, OnnxError, text, VARINT, varintsIn, type Field } from './protobuf';
import { dtypeOf, readSparse, readStored, type OnnxTensor, type StoredTensor } from './tensors';

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
  /** Stored weights, by name. */
  initializers: Map<string, StoredTensor>;
  /** What Constant nodes hold, by the name of their output. */
  constants: Map<string, StoredTensor>;
  /** What is stored elsewhere: in the graphs of If, Loop and Scan, in functions, and in other attributes. */
  inner: StoredTensor[];
  /** Layers in the graphs of If, Loop and Scan, and in functions. */
  innerNodes: number;
  /** Types of tensors between the layers, where the file has them. */
  values: Map<string, OnnxTensor>;
}

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
    constants: new Map(),
    inner: [],
    innerNodes: 0,
    values: new Map()
  };
  try {
    const found = await readModel(blockwise(file), model);
    if (!found) {
      throw new OnnxError('it holds no graph');
    }
  } catch (error) {
    if (error instanceof OnnxError) {
      throw new OnnxError(`${name}: this is not an ONNX model, or it is damaged: ${error.message}. Export it again.`);
    }
    throw error; // a server that does not answer, for instance
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
    } else if (field.number === 25 && field.wire === BYTES) {
      await readInner(source, field, 7, model);
    }
  }
  model.producer = `${model.producer} ${version}`.trim();
  return found;
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
      case 1: {
        const { node, held } = await readNode(source, field, model);
        model.nodes.push(node);
        keepConstant(node, held, model);
        break;
      }
      case 2:
        model.graphName = text(await bytes(source, field));
        break;
      case 5: {
        const tensor = await readStored(source, field);
        model.initializers.set(tensor.name, tensor);
        break;
      }
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
      case 15: {
        const tensor = await readSparse(source, field);
        model.initializers.set(tensor.name, tensor);
        break;
      }
    }
  }
}

/** A graph in an attribute, or a function: its stored tensors are counted, its layers are not listed. */
async function readInner(source: ByteSource, graph: Field, nodes: number, model: OnnxModel): Promise<void> {
  const isGraph = nodes === 1;
  for await (const field of fieldsOf(source, graph.start, graph.end)) {
    if (field.wire !== BYTES) {
      continue;
    }
    if (field.number === nodes) {
      addAll(model.inner, (await readNode(source, field, model)).held);
      model.innerNodes += 1;
    } else if (isGraph && field.number === 5) {
      model.inner.push(await readStored(source, field));
    } else if (isGraph && field.number === 15) {
      model.inner.push(await readSparse(source, field));
    }
  }
}

/** A layer, and the tensors that its attributes hold. */
async function readNode(
  source: ByteSource,
  place: Field,
  model: OnnxModel
): Promise<{ node: OnnxNode; held: StoredTensor[] }> {
  const node: OnnxNode = { name: '', opType: '', domain: '', inputs: [], outputs: [] };
  const held: StoredTensor[] = [];
  const attributes: Field[] = [];
  for await (const field of fieldsOf(source, place.start, place.end)) {
    if (field.wire !== BYTES) {
      continue;
    }
    if (field.number === 1) {
      node.inputs.push(text(await bytes(source, field)));
    } else if (field.number === 2) {
      node.outputs.push(text(await bytes(source, field)));
    } else if (field.number === 3) {
      node.name = text(await bytes(source, field));
    } else if (field.number === 4) {
      node.opType = text(await bytes(source, field));
    } else if (field.number === 5) {
      attributes.push(field);
    } else if (field.number === 7) {
      node.domain = text(await bytes(source, field));
    }
  }
  const isConstant = node.opType === 'Constant' && (node.domain === '' || node.domain === 'ai.onnx');
  for (const attribute of attributes) {
    addAll(held, await readAttribute(source, attribute, isConstant, model));
  }
  return { node, held };
}

/** Numbers of AttributeProto: lists of numbers and texts, and how many bytes each takes where they are packed. */
const LISTS: Record<number, [dtype: string, packed: number]> = { 7: ['float32', 4], 8: ['int64', 0], 9: ['string', 0] };
const SINGLES: Record<number, string> = { 2: 'float32', 3: 'int64', 4: 'string' };

/** The tensors that an attribute holds; of a Constant node numbers and lists of them too. */
async function readAttribute(
  source: ByteSource,
  attribute: Field,
  isConstant: boolean,
  model: OnnxModel
): Promise<StoredTensor[]> {
  const held: StoredTensor[] = [];
  const listed = new Map<string, number>();
  for await (const field of fieldsOf(source, attribute.start, attribute.end)) {
    if (field.wire === BYTES && (field.number === 5 || field.number === 10)) {
      held.push(await readStored(source, field));
    } else if (field.wire === BYTES && (field.number === 22 || field.number === 23)) {
      held.push(await readSparse(source, field));
    } else if (field.wire === BYTES && (field.number === 6 || field.number === 11)) {
      await readInner(source, field, 1, model);
    } else if (isConstant && field.number in LISTS) {
      const [dtype, packed] = LISTS[field.number];
      const isPacked = field.wire === BYTES && dtype !== 'string';
      const values = !isPacked ? 1 : packed ? (field.end - field.start) / packed : varintsIn(await bytes(source, field)).length;
      listed.set(dtype, (listed.get(dtype) ?? 0) + Math.floor(values));
    } else if (isConstant && field.number in SINGLES) {
      held.push({ name: '', dtype: SINGLES[field.number], shape: [], values: 1, file: null });
    }
  }
  for (const [dtype, values] of listed) {
    held.push({ name: '', dtype, shape: [values], values, file: null });
  }
  return held;
}

/** What a Constant node holds has the name of its output; what other layers hold is theirs alone. */
function keepConstant({ opType, domain, outputs }: OnnxNode, held: StoredTensor[], model: OnnxModel): void {
  if (opType === 'Constant' && (domain === '' || domain === 'ai.onnx') && outputs[0] && held.length) {
    model.constants.set(outputs[0], { ...held[0], name: outputs[0] });
  } else {
    addAll(model.inner, held);
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
