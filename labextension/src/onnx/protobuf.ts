/** A walk over the fields of a protobuf message that reads only what is looked at. */

import type { ByteSource } from '../bytes';

export class OnnxError extends Error {}

/** One field of a message: a number, or the place of its bytes. */
export interface Field {
  number: number;
  wire: number;
  value: number;
  start: number;
  end: number;
}

export const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;
const LONGEST_KEY = 20;
const LARGEST_MESSAGE = 1 << 28;
const LARGEST_NUMBER = 2 ** 29 - 1;

/** Walk over the fields of the message in [at, end). */
export async function* fieldsOf(source: ByteSource, at: number, end: number): AsyncGenerator<Field> {
  while (at < end) {
    const head = await source.read(at, Math.min(at + LONGEST_KEY, end));
    const field = fieldAt(head, 0, end - at);
    yield { ...field, start: field.start + at, end: field.end + at };
    at += field.end;
  }
}

/** Fields of a small message that is in memory. */
export function* fields(data: Uint8Array): Generator<Field> {
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
    if (length < 0) {
      throw new OnnxError('a part of it is no protobuf'); // or the walk would go back, again and again
    }
    field.start = start;
    field.end = start + length;
  } else if (wire === FIXED64 || wire === FIXED32) {
    field.end = afterKey + (wire === FIXED64 ? 8 : 4);
  } else {
    throw new OnnxError('a part of it is no protobuf');
  }
  if (field.number < 1 || field.number > LARGEST_NUMBER) {
    throw new OnnxError('a part of it is no protobuf');
  }
  if (field.end > limit) {
    throw new OnnxError('it ends too early');
  }
  return field;
}

/** A base-128 number and the place after it. Negative ones (64-bit two's complement) come back negative. */
export function varint(data: Uint8Array, at: number): [number, number] {
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

export function text(data: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new OnnxError('a name in it is not UTF-8 text');
  }
}

export async function bytes(source: ByteSource, { start, end }: Field): Promise<Uint8Array> {
  if (end - start > LARGEST_MESSAGE) {
    throw new OnnxError('a part of it is too large to be looked at here');
  }
  return source.read(start, end);
}

/** The numbers of a packed list. */
export function varintsIn(data: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < data.length; ) {
    const [value, next] = varint(data, at);
    found.push(value);
    at = next;
  }
  return found;
}

/** Add all of a list to another one: as arguments of push() they may be some 100,000 at most. */
export function addAll<T>(list: T[], more: Iterable<T>): void {
  for (const one of more) {
    list.push(one);
  }
}
