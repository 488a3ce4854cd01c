/**
 * Scale files of other tools, as the package's `formats/foreign.py` reads them: what in them is symmetric INT8 with one
 * scale per tensor, and why the rest is not.
 */

import { Pairs, type Json } from './json';
import { pythonFloat, pythonGeneral, pythonRepr } from './text';

export interface ForeignTable {
  tool: string;
  /** Tensor to threshold: scale * 127. */
  amax: Map<string, number>;
  /** Tensor to why its entry is left out. */
  leftOut: Map<string, string>;
}

/** JSON with objects as maps: the last of a repeated key counts. */
type Plain = null | boolean | number | string | Plain[] | PlainMap;
type PlainMap = Map<string, Plain>;
/** A threshold, or why there is none. */
type Found = Map<string, number | string>;

const STEPS = 127;

/** What the JSON of another tool holds; null where it is none that is known here. */
export function readForeign(json: Json): ForeignTable | null {
  const data = plain(json);
  if (!(data instanceof Map)) {
    return null;
  }
  if (data.has('activation_encodings')) {
    return collect('AIMET', aimet(data));
  }
  const [configs, values] = [data.get('configs'), data.get('values')];
  if (configs instanceof Map && values instanceof Map) {
    return collect('PPQ', ppq(configs, values));
  }
  const entries = [...data.values()];
  if (entries.length && entries.every(isOverride)) {
    return collect('ONNX Runtime', new Map([...data].map(([name, listed]) => [name, override(listed as PlainMap[])])));
  }
  if (entries.length && entries.every(isNvdla)) {
    return collect('NVDLA', new Map([...data].map(([name, entry]) => [name, nvdla(entry as PlainMap)])));
  }
  return null;
}

function plain(value: Json): Plain {
  if (value instanceof Pairs) {
    return new Map(value.pairs.map(([key, inner]) => [key, plain(inner)]));
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

function collect(tool: string, found: Found): ForeignTable {
  const table: ForeignTable = { tool, amax: new Map(), leftOut: new Map() };
  for (const [name, value] of found) {
    if (typeof value === 'string') {
      table.leftOut.set(name, value);
    } else {
      table.amax.set(name, value);
    }
  }
  return table;
}

const isNumber = (value: Plain | undefined): value is number => typeof value === 'number';

/** `isinstance(value, (int, float))`, for which Python's booleans are numbers too. */
const asNumber = (value: Plain | undefined): number => (typeof value === 'boolean' ? Number(value) : (value as number));

const isNumeric = (value: Plain | undefined): boolean => isNumber(value) || typeof value === 'boolean';

/** The first of these keys that there is; null where none is. */
function firstOf(entry: PlainMap, ...keys: string[]): Plain {
  const key = keys.find(name => entry.has(name));
  return key === undefined ? null : entry.get(key)!;
}

/** `repr()` and `str()` of what Python makes of JSON. */
function representation(value: Plain): string {
  if (value === null || typeof value === 'boolean') {
    return value === null ? 'None' : value ? 'True' : 'False';
  }
  if (typeof value === 'number') {
    return pythonFloat(value);
  }
  if (typeof value === 'string') {
    return pythonRepr(value);
  }
  return Array.isArray(value)
    ? `[${value.map(representation).join(', ')}]`
    : `{${[...value].map(([key, inner]) => `${pythonRepr(key)}: ${representation(inner)}`).join(', ')}}`;
}

const asText = (value: Plain): string => (typeof value === 'string' ? value : representation(value));

/** The threshold of one entry, or why it has none. */
function amaxOf(scale: Plain, offset: Plain, bits: Plain, symmetric: Plain): number | string {
  if (Array.isArray(scale)) {
    if (scale.length !== 1) {
      return `has ${scale.length} scales: one per channel`;
    }
    [scale] = scale;
  }
  if (Array.isArray(offset) && offset.length === 1) {
    [offset] = offset;
  }
  if (!isNumber(scale) || !Number.isFinite(scale) || scale <= 0) {
    return 'has no scale that is a positive number';
  }
  if (bits !== null && bits !== 8) {
    return isNumeric(bits) ? `has ${pythonGeneral(asNumber(bits))} bits` : 'has no number of bits';
  }
  if (asText(symmetric).toLowerCase() === 'false') {
    return 'is asymmetric';
  }
  // AIMET's symmetric entries count from -128 on
  return isOffset(offset) && offset !== -128 ? `is asymmetric: its offset is ${representation(offset)}` : scale * STEPS;
}

/** Whether an offset is one at all: none, 0 and Python's False are not. */
const isOffset = (offset: Plain): boolean => offset !== null && offset !== 0 && offset !== false;

function aimet(data: PlainMap): Found {
  const found: Found = new Map();
  for (const [name, entry] of named(data.get('activation_encodings')!)) {
    const entries = Array.isArray(entry) ? entry : [entry];
    const [one] = entries;
    if (entries.length !== 1 || !(one instanceof Map)) {
      found.set(name, `has ${entries.length} encodings: one per channel, or per input of a layer`);
      continue;
    }
    const dtype = one.get('dtype') ?? (one.has('dtype') ? null : 'int');
    if (!['int', 'int8'].includes(asText(dtype).toLowerCase())) {
      found.set(name, `is ${asText(dtype)}, not INT8`);
      continue;
    }
    const [scale, offset] = [firstOf(one, 'scale'), firstOf(one, 'offset')];
    found.set(name, amaxOf(scale, offset, firstOf(one, 'bitwidth', 'bw'), firstOf(one, 'is_symmetric', 'is_sym')));
  }
  for (const [name] of named(data.get('param_encodings') ?? null)) {
    if (!found.has(name)) {
      found.set(name, 'is a parameter: weights have no row in a cache, TensorRT takes their own maxima');
    }
  }
  return found;
}

/** Name and entry of either version: an object, or a list of entries that say their name. */
function named(entries: Plain): [string, Plain][] {
  if (entries instanceof Map) {
    return [...entries];
  }
  const listed = Array.isArray(entries) ? entries : [];
  return listed
    .filter((one): one is PlainMap => one instanceof Map && one.has('name'))
    .map(one => [asText(one.get('name')!), one]);
}

function ppq(configs: PlainMap, values: PlainMap): Found {
  const found: Found = new Map();
  for (const operator of configs.values()) {
    for (const [name, config] of operator instanceof Map ? operator : []) {
      if (!(config instanceof Map)) {
        continue;
      }
      const value = firstOf(values, keyOf(firstOf(config, 'hash')), keyOf(firstOf(config, 'dominator')));
      if (!(value instanceof Map)) {
        if (!found.has(name)) {
          found.set(name, 'has no scale in the file');
        }
        continue;
      }
      const amax = ppqAmax(config, value);
      if (typeof amax !== 'string' || !found.has(name)) {
        found.set(name, amax);
      }
    }
  }
  return found;
}

function ppqAmax(config: PlainMap, value: PlainMap): number | string {
  if (has(config, 'FLOATING')) {
    return 'is floating point, not INT8';
  }
  if (has(config, 'DYNAMIC')) {
    return 'is dynamic: its scale is found anew for every batch';
  }
  const symmetric = !has(config, 'ASYMMETRICAL');
  return amaxOf(firstOf(value, 'scale'), firstOf(value, 'zero_point'), firstOf(config, 'bit_width'), symmetric);
}

/** Whether a policy has a property: PPQ writes all that there are, each with true or false. */
function has(config: PlainMap, wanted: string): boolean {
  const policy = config.get('policy');
  return policy instanceof Map && policy.get(wanted) === true;
}

/** A hash as JSON spells it as a key. */
const keyOf = (number: Plain): string => (Number.isInteger(number) ? BigInt(number as number).toString() : asText(number));

const OVERRIDE = ['axis', 'convert', 'quant_type', 'reduce_range', 'rmax', 'rmin', 'scale', 'symmetric', 'zero_point'];

const isOverride = (listed: Plain): boolean =>
  Array.isArray(listed) &&
  listed.length > 0 &&
  listed.every(entry => entry instanceof Map && [...entry.keys()].every(key => OVERRIDE.includes(key)));

function override(listed: PlainMap[]): number | string {
  const [entry] = listed;
  if (listed.length > 1 || firstOf(entry, 'axis') !== null) {
    return 'has scales per channel';
  }
  const type = entry.has('quant_type') ? asText(entry.get('quant_type')!) : 'QInt8';
  const kind = type.slice(type.lastIndexOf('.') + 1).toLowerCase();
  if (kind !== 'qint8') {
    return `is ${kind.replace(/^q/, '').toUpperCase()}, not INT8`;
  }
  if (entry.has('scale')) {
    return amaxOf(entry.get('scale')!, firstOf(entry, 'zero_point'), null, null);
  }
  const ends = [entry.get('rmin'), entry.get('rmax')].filter(isNumber);
  if (ends.length < 2 || !ends.every(Number.isFinite)) {
    return 'has neither a scale nor a range';
  }
  if (entry.get('symmetric') !== true && ends[0] !== -ends[1]) {
    return 'is asymmetric: its range is, and it does not say symmetric';
  }
  return Math.max(...ends.map(Math.abs));
}

const isNvdla = (entry: Plain): boolean =>
  entry instanceof Map && (entry.has('scale') || (entry.has('min') && entry.has('max')));

function nvdla(entry: PlainMap): number | string {
  const [scale, offset] = [firstOf(entry, 'scale'), firstOf(entry, 'offset')];
  if (isNumeric(scale) && scale !== 0 && scale !== false) {
    return amaxOf(scale, offset, null, null);
  }
  const ends = [entry.get('min'), entry.get('max')];
  if (isOffset(offset)) {
    return `is asymmetric: its offset is ${representation(offset)}`;
  }
  if (!ends.every(end => isNumeric(end) && Number.isFinite(asNumber(end)))) {
    return 'has neither a scale nor a range';
  }
  return Math.max(...ends.map(end => Math.abs(asNumber(end))));
}
