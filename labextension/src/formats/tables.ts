/** Neighbours of TensorRT's cache: files that hold thresholds (amax) instead of hex scales. */

import { readForeign, type ForeignTable } from './foreign';
import { parseJson, Pairs, type Json } from './json';
import { ABSURD, byLine, textOddities, valueOddity, type Oddity, type ValueKind } from './oddities';
import {
  decodeLines,
  decodeUtf8,
  FormatError,
  isBlank,
  isDecimal,
  lineCore,
  parseDecimal,
  pythonFloat,
  quote,
  rpartition,
  startsWith,
  strip,
  stripLeft,
  stripRight,
  type TextLines
} from './text';

export type TableFormat = 'ranges' | 'ort' | 'json' | 'flatbuffers';

export interface ScaleTable {
  format: TableFormat;
  /** In file order; the last of several rows of a name counts. */
  amax: Map<string, number>;
  oddities: Oddity[];
}

/** Line (0 where there are none), name, amax. */
type Row = [number, string, number];

/** Read `ranges` (split at the last ":") or `ort` text (split at the last space). */
export function parseTextTable(data: Uint8Array, source: string, kind: 'ranges' | 'ort'): ScaleTable {
  const text = decodeLines(data, source);
  const separator = kind === 'ranges' ? ':' : ' ';
  const rows: Row[] = [];
  text.lines.forEach((line, i) => {
    const row = lineCore(line);
    if (!row) {
      return;
    }
    const [name, found, rest] = rpartition(row, separator);
    const value = stripRight(stripLeft(rest, isBlank), isBlank);
    if (!name || !found || !isDecimal(value)) {
      throw new FormatError(
        `${source}, line ${i + 1}: ${quote(row)} is not a row <name>${separator}<amax> with a decimal number. Mend ` +
          'or remove the line. (Hex scales belong to a calibration cache, whose first line is ' +
          'TRT-<version>-<algorithm>.)'
      );
    }
    rows.push([i + 1, name, parseDecimal(value)]);
  });
  return tableFromRows(rows, kind, source, [], text);
}

function tableFromRows(
  rows: Row[],
  format: TableFormat,
  source: string,
  ranges: [string, number, number][] = [],
  text?: TextLines
): ScaleTable {
  if (!rows.length) {
    throw new FormatError(`${source}: the file holds no tensors. Calibrate again.`);
  }
  const oddities = [
    ...(text ? textOddities(text) : []),
    ...valueOddities(rows),
    ...duplicates(rows),
    ...rangeOddities(ranges)
  ];
  return { format, amax: new Map(rows.map(([, name, value]) => [name, value])), oddities: byLine(oddities) };
}

export const scaleOfAmax = (amax: number): number => Math.fround(Math.fround(amax) / 127);

const SMALLEST_NORMAL = 2 ** -126;

function valueOddities(rows: Row[]): Oddity[] {
  const kinds: [ValueKind, (amax: number, scale: number) => boolean][] = [
    ['nan', amax => Number.isNaN(amax)],
    ['negative', amax => amax < 0],
    ['inf', (_, scale) => scale === Infinity],
    ['absurd', (_, scale) => scale >= ABSURD && scale < Infinity],
    ['zero', (amax, scale) => scale === 0 && amax >= 0],
    ['denormal', (_, scale) => scale > 0 && scale < SMALLEST_NORMAL]
  ];
  return kinds.flatMap(([kind, is]) =>
    rows
      .filter(([, , amax]) => is(amax, scaleOfAmax(amax)))
      .map(([line, name]) => valueOddity(kind, line, name, 'The amax'))
  );
}

function duplicates(rows: Row[]): Oddity[] {
  const first = new Map<string, [number, number]>();
  const found: Oddity[] = [];
  for (const [line, name, value] of rows) {
    const before = first.get(name);
    if (!before) {
      first.set(name, [line, value]);
      continue;
    }
    const same = value === before[1];
    const where = line ? ` in line ${before[0]}` : '';
    const message =
      `${quote(name)} stands in the file already${where}, with ${same ? 'the same' : 'another'} ` +
      'amax. The last one counts here; remove all but one.';
    found.push({ kind: 'duplicate', line, name, message, severity: same ? 'info' : 'error' });
  }
  return found;
}

function rangeOddities(ranges: [string, number, number][]): Oddity[] {
  const last = new Map(ranges.map(([name, low, high]) => [name, [low, high]]));
  return [...last]
    .filter(([, [low, high]]) => low > high)
    .map(([name, [low, high]]) => {
      const message = `The range of ${quote(name)} has min ${pythonFloat(low)} above max ${pythonFloat(high)}. Check the file.`;
      return { kind: 'min-above-max', line: 0, name, message, severity: 'error' };
    });
}

/**
 * Read ONNX Runtime's JSON: `{name: [min, max]}`, or its newer nested `TensorsData` form; or another tool's. What of it
 * is no range is among the oddities, with the reason.
 */
export function parseJsonTable(data: Uint8Array, source: string): ScaleTable {
  let found: Json;
  try {
    found = parseJson(decodeUtf8(startsWith(data, 0xef, 0xbb, 0xbf) ? data.subarray(3) : data).text);
  } catch (error) {
    throw new FormatError(`${source}: this is not valid JSON: ${(error as Error).message}.`);
  }
  const foreign = readForeign(found);
  if (foreign) {
    return foreignTable(foreign, source);
  }
  const nested = found instanceof Pairs && found.get('CLS') === 'TensorsData' ? found : null;
  const entries: Json | undefined = nested ? nested.get('data') : found;
  if (!(entries instanceof Pairs)) {
    throw new FormatError(`${source}: expected JSON of the form {name: [min, max]}.`);
  }
  const left: Oddity[] = [];
  const ranges: [string, number, number][] = [];
  for (const [name, value] of entries.pairs) {
    if (nested && name && lacksRange(value)) {
      left.push(leftOut(name, 'has no range, only mean and deviation or a histogram'));
    } else {
      ranges.push([name, ...jsonRange(name, value, source)]);
    }
  }
  const rows = ranges.map(([name, low, high]): Row => [0, name, Math.max(Math.abs(low), Math.abs(high))]);
  const table = tableFromRows(rows, 'json', source, ranges);
  if (nested?.get('smooth_quant') === true) {
    const message = 'The ranges are of a model that SmoothQuant has changed: they fit that model, not the one before.';
    left.push({ kind: 'smooth-quant', line: 0, name: '', message, severity: 'warning' });
  }
  return { ...table, oddities: [...table.oddities, ...left] };
}

const lacksRange = (value: Json): boolean =>
  value instanceof Pairs && !['lowest', 'highest'].every(key => value.pairs.some(([name]) => name === key));

const leftOut = (name: string, why: string): Oddity => ({
  kind: 'left-out',
  line: 0,
  name,
  message: `${quote(name)} ${why}. It is left out.`,
  severity: 'warning'
});

function foreignTable({ tool, amax, leftOut: left }: ForeignTable, source: string): ScaleTable {
  if (!amax.size) {
    const [first] = left;
    const why = first ? `: ${quote(first[0])} ${first[1]}` : '';
    throw new FormatError(
      `${source} is a file of ${tool} in which nothing is symmetric INT8 with one scale per tensor${why}. ` +
        'Export symmetric 8-bit activations per tensor, or calibrate with trtcal calibrate.'
    );
  }
  const table = tableFromRows([...amax].map(([name, value]): Row => [0, name, value]), 'json', source);
  return { ...table, oddities: [...table.oddities, ...[...left].map(([name, why]) => leftOut(name, why))] };
}

function jsonRange(name: string, value: Json, source: string): [number, number] {
  let low: Json | undefined;
  let high: Json | undefined;
  if (value instanceof Pairs) {
    low = value.get('lowest');
    high = value.get('highest');
  } else if (Array.isArray(value) && value.length === 2) {
    [low, high] = value;
  }
  const lows = numbers(low);
  const highs = numbers(high);
  if (!name || !lows.length || !highs.length) {
    throw new FormatError(
      `${source}: the entry ${quote(name)} is not of the form name: [min, max] with numbers. ` +
        'A file of scales or of single numbers is not this format: write [-amax, amax].'
    );
  }
  return [lows.reduce((a, b) => Math.min(a, b)), highs.reduce((a, b) => Math.max(a, b))];
}

/** Numbers of a JSON number or of ONNX Runtime's array object; none for anything else. */
function numbers(value: Json | undefined): number[] {
  const inner = value instanceof Pairs && value.get('CLS') === 'numpy.array' ? value.get('data') : value;
  const values = Array.isArray(inner) ? inner : [inner];
  return values.every(one => typeof one === 'number') ? (values as number[]) : [];
}

/** Read ONNX Runtime's flatbuffers: `table KeyValue{key; value;} table TrtTable{dict:[KeyValue];}`. */
export function parseFlatbuffersTable(data: Uint8Array, source: string): ScaleTable {
  let entries: [Uint8Array, Uint8Array][];
  try {
    entries = flatbufferStrings(data);
  } catch {
    throw new FormatError(
      `${source}: this is not a whole flatbuffers table of ONNX Runtime: it ends too early or is ` +
        'damaged. Copy or write it again.'
    );
  }
  const rows = entries.map(([key, value]): Row => {
    const name = decodeUtf8(key).text;
    const text = strip(decodeUtf8(value).text);
    if (!name || !isDecimal(text)) {
      throw new FormatError(
        `${source}: the value ${quote(text, 40)} of tensor ${quote(name)} is no decimal number, or ` +
          'the name is empty. Write the table again with ONNX Runtime.'
      );
    }
    return [0, name, parseDecimal(text)];
  });
  return tableFromRows(rows, 'flatbuffers', source);
}

const KEY_SLOT = 4;
const VALUE_SLOT = 6;
const DICT_SLOT = 4;

/** Key and value of every entry; throws where an offset leads outside the file. */
function flatbufferStrings(data: Uint8Array): [Uint8Array, Uint8Array][] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const inside = (position: number, size = 4): number => {
    if (position < 0 || position + size > data.length) {
      throw new RangeError();
    }
    return position;
  };
  const field = (table: number, slot: number): number => {
    const vtable = inside(table - view.getInt32(inside(table), true));
    const size = view.getUint16(vtable, true);
    inside(vtable, size);
    const offset = slot < size ? view.getUint16(vtable + slot, true) : 0;
    if (!offset) {
      throw new RangeError();
    }
    const position = inside(table + offset);
    return inside(position + view.getUint32(position, true));
  };
  const bytes = (table: number, slot: number): Uint8Array => {
    const start = field(table, slot);
    const length = view.getUint32(start, true);
    return data.subarray(start + 4, inside(start + 4, length) + length);
  };
  const vector = field(view.getUint32(0, true), DICT_SLOT);
  const count = view.getUint32(vector, true);
  inside(vector + 4, 4 * count);
  const entries: [Uint8Array, Uint8Array][] = [];
  let total = 0;
  for (let at = vector + 4; at < vector + 4 + 4 * count; at += 4) {
    const entry = at + view.getUint32(at, true);
    const key = bytes(entry, KEY_SLOT);
    const value = bytes(entry, VALUE_SLOT);
    // Crafted entries may share one long string; honest writers stay far below this.
    total += key.length + value.length;
    inside(0, Math.floor(total / 16));
    entries.push([key, value]);
  }
  return entries;
}
