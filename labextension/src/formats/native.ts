/** TensorRT's own cache text. Names hold anything, so a row `<name>: <hex>` is split at its LAST ": ". */

import { DESCRIPTIONS, detectFormat, type Format } from './detect';
import { COMMENT, headerPlace, parseHeader, type CacheHeader } from './header';
import { decodeLines, FormatError, isBlank, isDecimal, lineCore, quote, rpartition, stripLeft, type TextLines } from './text';

const HEX = /^(?:0[xX])?[0-9a-fA-F]{1,8}$/;

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
  /** 1-based. */
  headerLine: number;
  rows: CacheRow[];
  /** 1-based lines that begin with # and are no rows. */
  comments: number[];
}

/**
 * Parse a calibration cache or a legacy table. What TensorRT 8.6.0 was seen to take is read: one blank line before the
 * header, lines that begin with #, 0x before hex digits. A line that begins with # and is a row as well is one.
 */
export function parseNative(data: Uint8Array, source: string): NativeText {
  if (detectFormat(data) === 'flatbuffers') {
    throw new FormatError(otherFormat('flatbuffers', source));
  }
  const text = decodeLines(data, source);
  const headerLine = headerPlace(text.lines);
  const header = parseHeader(lineCore(text.lines[headerLine - 1]));
  if (!header) {
    throw new FormatError(noHeader(data, text, headerLine, source));
  }
  const rows: CacheRow[] = [];
  const comments: number[] = [];
  for (let i = headerLine; i < text.lines.length; i += 1) {
    const row = lineCore(text.lines[i]);
    if (!row) {
      continue;
    }
    const at = row.lastIndexOf(': ');
    const digits = stripLeft(row.slice(at + 2), isBlank);
    if (at >= 1 && HEX.test(digits)) {
      rows.push({ line: i + 1, name: row.slice(0, at), bits: parseInt(digits, 16), digits });
    } else if (row.startsWith(COMMENT)) {
      comments.push(i + 1);
    } else {
      throw new FormatError(`${source}, line ${i + 1}: ${badRow(row)}`);
    }
  }
  return { text, header, headerLine, rows, comments };
}

const otherFormat = (found: Format, source: string): string =>
  `${source}: this is not a calibration cache; it looks like ${DESCRIPTIONS[found]}. ` +
  'Read it with read_scale_file, or turn it into a cache with trtcal convert --to cache.';

/** Explain a file that has no header where it belongs, in this 1-based line. */
function noHeader(data: Uint8Array, { lines }: TextLines, line: number, source: string): string {
  const found = detectFormat(data);
  if (found !== 'unknown') {
    return otherFormat(found, source);
  }
  const first = lineCore(lines[line - 1]);
  if (first.includes('\r')) {
    return `${source}: the lines end with CR alone (old Mac line ends). Save the file with LF line ends.`;
  }
  if (!first) {
    return (
      `${source}, line ${line}: the line is blank. Remove it: of blank lines before the header TensorRT is known ` +
      'to take one.'
    );
  }
  if (first.startsWith(COMMENT) && lines.slice(line).some(other => parseHeader(lineCore(other)))) {
    return (
      `${source}, line ${line}: a comment stands before the header. Move it below the header line or remove it: ` +
      'that TensorRT takes such a file is not known.'
    );
  }
  const [name, separator, digits] = rpartition(first, ': ');
  if (name && separator && HEX.test(digits)) {
    return (
      `${source}, line ${line}: ${quote(first)} is a row, but the header line is missing. Put the line ` +
      'back that says which TensorRT made the file, such as TRT-8601-EntropyCalibration2.'
    );
  }
  return (
    `${source}, line ${line}: ${quote(first)} is not the header of a calibration cache. Expected ` +
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
  value = stripLeft(value, isBlank);
  let reason = 'is not hex';
  if (/^[0-9a-fA-F]{9,}$/.test(value)) {
    reason = `has ${value.length} hex digits, but a float32 scale has at most 8`;
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
