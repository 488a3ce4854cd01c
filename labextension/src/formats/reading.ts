/** Any file of scales or ranges as one kind of value, as `read_scale_file` gives it in Python. */

import { DESCRIPTIONS, detectFormat, type Format } from './detect';
import type { CacheHeader } from './header';
import { parseNative } from './native';
import { nativeOddities, type Oddity } from './oddities';
import { parseFlatbuffersTable, parseJsonTable, parseTextTable, scaleOfAmax, type ScaleTable } from './tables';
import { decodeLines, FormatError } from './text';

export interface ScaleRow {
  name: string;
  /** Threshold in real units, float64. */
  amax: number;
  /** Pattern of the float32 scale (amax / 127). */
  bits: number;
  /** 1-based; 0 where the format has no lines. */
  line: number;
}

export interface ScaleFile {
  format: Exclude<Format, 'unknown'>;
  /** Null where the format has none. */
  header: CacheHeader | null;
  /** Every row of a cache (repeated names too); one row per name of a table. */
  rows: ScaleRow[];
  oddities: Oddity[];
}

const word = new DataView(new ArrayBuffer(4));

export function scaleOfBits(bits: number): number {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}

export function bitsOfScale(scale: number): number {
  word.setFloat32(0, scale);
  return word.getUint32(0);
}

/** Read the bytes of a file; `source` is its name in messages. Throws a FormatError that says what to do. */
export function readScaleFile(data: Uint8Array, source: string): ScaleFile {
  const format = detectFormat(data);
  switch (format) {
    case 'ranges':
    case 'ort':
      return ofTable(parseTextTable(data, source, format));
    case 'json':
      return ofTable(parseJsonTable(data, source));
    case 'flatbuffers':
      return ofTable(parseFlatbuffersTable(data, source));
    case 'unknown':
      return refuse(data, source);
    default:
      return ofCache(data, source, format);
  }
}

function ofCache(data: Uint8Array, source: string, format: 'cache' | 'legacy'): ScaleFile {
  const parsed = parseNative(data, source);
  const rows = parsed.rows.map(({ name, bits, line }) => ({ name, bits, line, amax: scaleOfBits(bits) * 127 }));
  return { format, header: parsed.header, rows, oddities: nativeOddities(parsed) };
}

function ofTable(table: ScaleTable): ScaleFile {
  const rows = [...table.amax].map(([name, amax]) => ({ name, amax, bits: bitsOfScale(scaleOfAmax(amax)), line: 0 }));
  return { format: table.format, header: null, rows, oddities: table.oddities };
}

function refuse(data: Uint8Array, source: string): never {
  decodeLines(data, source); // says so if the file is empty, binary or UTF-16
  try {
    parseNative(data, source); // says what is wrong with line 1
  } catch (error) {
    if (error instanceof FormatError) {
      const others = (['legacy', 'ranges', 'ort', 'json', 'flatbuffers'] as const).map(name => DESCRIPTIONS[name]);
      throw new FormatError(`${error.message} Nor is it any of these: ${others.join('; ')}.`);
    }
    throw error;
  }
  throw new FormatError(`${source}: no known format.`);
}
