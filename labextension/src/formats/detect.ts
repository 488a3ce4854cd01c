/** Which of the known formats a file is in, by its content: file names end in anything. */

import { decodeUtf8, isByteSpace, isDecimal, lineCore, rpartition, startsWith, strip } from './text';
import { headerPlace, parseHeader } from './header';

export type Format = 'cache' | 'legacy' | 'ranges' | 'ort' | 'json' | 'flatbuffers' | 'unknown';

export const DESCRIPTIONS: Record<Format, string> = {
  cache: 'a TensorRT calibration cache',
  legacy: 'a legacy TensorRT calibration table',
  ranges: "a dynamic-range text file (<name>:<amax>, as TensorRT's sampleINT8API reads)",
  ort: 'an ONNX Runtime calibration table in text (<name> <amax>)',
  json: "a table of ranges or scales in JSON, ONNX Runtime's ({name: [min, max]}) or another tool's",
  flatbuffers: 'an ONNX Runtime calibration table in flatbuffers',
  unknown: 'no calibration file that is known here'
};

const HEX8 = /^[0-9a-fA-F]{8}$/;
const SAMPLE_ROWS = 50;

/** Name the format of a file's content; never throws. */
export function detectFormat(data: Uint8Array): Format {
  if (data.includes(0)) {
    return looksLikeFlatbuffers(data) ? 'flatbuffers' : 'unknown';
  }
  const text = startsWith(data, 0xef, 0xbb, 0xbf) ? data.subarray(3) : data;
  const first = text.findIndex(byte => !isByteSpace(byte));
  let last = text.length - 1;
  while (last > first && isByteSpace(text[last])) {
    last -= 1;
  }
  if (first >= 0 && text[first] === 0x7b && text[last] === 0x7d) {
    return 'json';
  }
  const lines = decodeUtf8(firstLines(text, 2)).text.split('\n').slice(0, 2);
  const header = parseHeader(lineCore(lines[headerPlace(lines) - 1]));
  if (header) {
    return header.legacy ? 'legacy' : 'cache';
  }
  return detectRows(text);
}

/** The bytes of so many lines from the beginning. */
function firstLines(text: Uint8Array, count: number): Uint8Array {
  let end = 0;
  for (let n = 0; n < count; n += 1) {
    const newline = text.indexOf(0x0a, end);
    if (newline < 0) {
      return text;
    }
    end = newline + 1;
  }
  return text.subarray(0, end);
}

/** Tell the two header-less text formats apart by their first rows. */
function detectRows(text: Uint8Array): Format {
  const lines = decodeUtf8(firstLines(text, SAMPLE_ROWS * 4)).text.split('\n');
  const rows = lines.map(lineCore).filter(row => row).slice(0, SAMPLE_ROWS);
  for (const [name, separator] of [['ranges', ':'], ['ort', ' ']] as const) {
    const pairs = rows.map(row => rpartition(row, separator));
    if (!pairs.length || !pairs[0][0] || !isDecimal(strip(pairs[0][2]))) {
      continue;
    }
    // The hex digits of a cache without its header can pass for numbers (3e345678); eight of them say what it is.
    return pairs.some(([, , value]) => HEX8.test(strip(value))) ? 'unknown' : name;
  }
  return 'unknown';
}

/** Whether the root table and its only field lie inside the file. */
function looksLikeFlatbuffers(data: Uint8Array): boolean {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  try {
    const table = view.getUint32(0, true);
    const vtable = table - view.getInt32(table, true);
    const field = view.getUint16(vtable, true) >= 6 ? view.getUint16(vtable + 4, true) : 0;
    if (!field) {
      return false;
    }
    const vector = table + field + view.getUint32(table + field, true);
    const count = view.getUint32(vector, true);
    return count > 0 && vector + 4 + 4 * count <= data.length;
  } catch {
    return false;
  }
}
