/** TensorRT's own cache text. Names hold anything, so a row `<name>: <hex>` is split at its LAST ": ". */

import { DESCRIPTIONS, detectFormat } from './detect';
import { parseHeader, type CacheHeader } from './header';
import { decodeLines, FormatError, isDecimal, lineCore, quote, rpartition, type TextLines } from './text';

const HEX = /^[0-9a-fA-F]{1,8}$/;

export interface CacheRow {
  /** 1-based. */
  line: number;
  name: string;
  /** Pattern of the float32 scale. */
  bits: number;
  /** Hex digits as written. */
  digits: string;
}

export interface NativeText {
  text: TextLines;
  header: CacheHeader;
  rows: CacheRow[];
}

/** Parse a calibration cache or a legacy table. */
export function parseNative(data: Uint8Array, source: string): NativeText {
  if (detectFormat(data) === 'flatbuffers') {
    throw new FormatError(noHeader(data, '', source));
  }
  const text = decodeLines(data, source);
  const first = lineCore(text.lines[0]);
  const header = parseHeader(first);
  if (!header) {
    throw new FormatError(noHeader(data, first, source));
  }
  const rows: CacheRow[] = [];
  for (let i = 1; i < text.lines.length; i += 1) {
    const row = lineCore(text.lines[i]);
    if (!row) {
      continue;
    }
    const at = row.lastIndexOf(': ');
    const digits = stripLeft(row.slice(at + 2));
    if (at < 1 || !HEX.test(digits)) {
      throw new FormatError(`${source}, line ${i + 1}: ${badRow(row)}`);
    }
    rows.push({ line: i + 1, name: row.slice(0, at), bits: parseInt(digits, 16), digits });
  }
  return { text, header, rows };
}

const stripLeft = (text: string): string => text.replace(/^[ \t]+/, '');

function noHeader(data: Uint8Array, first: string, source: string): string {
  const found = detectFormat(data);
  if (found !== 'unknown') {
    return (
      `${source}: this is not a calibration cache; it looks like ${DESCRIPTIONS[found]}. ` +
      'Read it with read_scale_file, or turn it into a cache with trtcal convert --to cache.'
    );
  }
  if (first.includes('\r')) {
    return `${source}: the lines end with CR alone (old Mac line ends). Save the file with LF line ends.`;
  }
  if (!first) {
    return `${source}, line 1: the line is blank. Remove it: the header must come first.`;
  }
  const [name, separator, digits] = rpartition(first, ': ');
  if (name && separator && HEX.test(digits)) {
    return (
      `${source}, line 1: ${quote(first)} is a row, but the header line is missing. Put the line ` +
      'back that says which TensorRT made the file, such as TRT-8601-EntropyCalibration2.'
    );
  }
  return (
    `${source}, line 1: ${quote(first)} is not the header of a calibration cache. Expected ` +
    'TRT-<version>-<algorithm>, such as TRT-8601-EntropyCalibration2. Check that this is the file ' +
    "that TensorRT's calibrator wrote."
  );
}

function badRow(row: string): string {
  let [name, separator, value] = rpartition(row, ': ');
  if (!separator) {
    [name, separator, value] = rpartition(row, ':');
    if (separator && isDecimal(value)) {
      return (
        `${quote(row)} is a decimal number, as in a dynamic-range text file, under the header ` +
        'of a cache. Remove the header line and read the file with read_scale_file or trtcal ' +
        'convert, or write the scale (amax / 127) in hex.'
      );
    }
    return `${quote(row)} has no ': ' between a tensor name and its scale. Mend or remove the line.`;
  }
  if (!name) {
    return `${quote(row)} has no tensor name before the ': '. Write the name or remove the line.`;
  }
  value = stripLeft(value);
  let reason = 'is not hex';
  if (/^[0-9a-fA-F]{9,}$/.test(value)) {
    reason = `has ${value.length} hex digits, but a float32 scale has at most 8`;
  } else if (/^0[xX][0-9a-fA-F]{1,8}$/.test(value)) {
    reason = 'has 0x before its hex digits, which TensorRT does not write; remove the 0x';
  } else if (!value) {
    reason = 'has no scale after the name; a scale of zero is written as 0';
  } else if (isDecimal(value)) {
    reason = 'is a decimal number';
  }
  return (
    `the scale ${quote(value, 40)} of tensor ${quote(name)} ${reason}. Expected 1 to 8 hex digits: the ` +
    'float32 bit pattern of amax / 127, such as 3c010a14. Mend or remove the line.'
  );
}
