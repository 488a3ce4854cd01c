/** What is odd about a scale file, told in a user's words. */

import { COMMENT, KNOWN_ALGORITHMS } from './header';
import type { CacheRow, NativeText } from './native';
import { lineCore, pythonFloat, quote, stripRight, type TextLines } from './text';

export type Severity = 'info' | 'warning' | 'error';

export interface Oddity {
  kind: string;
  /** 1-based; 0 where it is about the whole file or the format has no lines. */
  line: number;
  /** The tensor, "" where it is about none. Arbitrary text, never markup. */
  name: string;
  message: string;
  severity: Severity;
}

const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/;
const NOT_UTF8 = /[\udc80-\udcff]/;

export type ValueKind = 'zero' | 'inf' | 'nan' | 'negative' | 'absurd' | 'denormal';

/** From here on a scale belongs to an amax within 0.1 % of the largest float32. */
const ABSURD_BITS = 0x7c00e0fd;
export const ABSURD = Math.fround((0.999 * 3.4028234663852886e38) / 127);

const VALUES: Record<ValueKind, [Severity, string]> = {
  zero: [
    'warning',
    'is 0: the tensor was zero on all calibration data. TensorRT writes such rows itself, but ' +
      'they cannot become Q/DQ. If the tensor should have values, calibrate with other data.'
  ],
  inf: [
    'error',
    'is infinite: the calibration data or a constant held infinity (an attention mask, for ' +
      'instance). INT8 keeps nothing of this tensor; calibrate again without infinities or set ' +
      'a threshold for it.'
  ],
  nan: [
    'error',
    'is not a number: the calibration data produced NaN there. Find the layer that makes NaN ' +
      'and calibrate again, or set a threshold for it.'
  ],
  negative: [
    'error',
    'is negative, which no calibrator writes (a range is symmetric and has no sign). Check what ' +
      "wrote the file. ONNX Runtime's tool writes the larger end of the range instead of the " +
      'larger |end|, so that tensors that are never positive come out negative: use its JSON file.'
  ],
  absurd: [
    'error',
    'belongs to the largest number of float32, which an operator makes of NaN or of an overflow, or a mask ' +
      'holds. INT8 keeps nothing of this tensor; look at what computes it, or set a threshold for it.'
  ],
  denormal: [
    'warning',
    'is so small that float32 holds it with few digits (denormal): the tensor is practically ' +
      'zero. TensorRT may treat it as 0; what it does is unverified.'
  ]
};

const odd = (kind: string, line: number, name: string, message: string, severity: Severity = 'warning'): Oddity => ({
  kind,
  line,
  name,
  message,
  severity
});

export const byLine = (found: Oddity[]): Oddity[] => found.sort((a, b) => a.line - b.line);

/** Everything odd about a calibration cache, in the order of its lines. */
export function nativeOddities(parsed: NativeText): Oddity[] {
  return byLine([
    ...textOddities(parsed.text, parsed.headerLine),
    ...headerOddities(parsed),
    ...valueOddities(parsed.rows),
    ...nameOddities(parsed.rows, parsed.text.isUtf8),
    ...duplicates(parsed.rows),
    ...comments(parsed),
    ...writingOddities(parsed)
  ]);
}

/** Oddities of a text file as a whole; `headerLine` is 0 where it has no header. */
export function textOddities(text: TextLines, headerLine = 0): Oddity[] {
  const { lines } = text;
  const found: Oddity[] = [];
  if (text.hasBom) {
    found.push(
      odd(
        'bom',
        1,
        '',
        'The file starts with a UTF-8 byte order mark, which editors on Windows add. TensorRT 8.6.0 ' +
          'ignores such a file without a word (run): save it as UTF-8 without BOM.'
      )
    );
  }
  const crlf = lines.filter(line => line.endsWith('\r')).length;
  const last = lines[lines.length - 1];
  if (crlf) {
    found.push(
      odd(
        'crlf',
        0,
        '',
        `${crlf} of ${lines.length - (last ? 0 : 1)} lines end with CR LF (Windows line ends). TensorRT 8.6.0 ` +
          'reads them right (run); of other releases that is not known: save the file with LF line ends.'
      )
    );
  }
  if (last) {
    found.push(
      odd(
        'no-final-newline',
        lines.length,
        '',
        'The last line has no newline at its end, as TensorRT writes it. Harmless here.',
        'info'
      )
    );
  }
  let end = lines.length - 1;
  while (end > 0 && !lineCore(lines[end])) {
    end -= 1;
  }
  for (let i = 0; i < end; i += 1) {
    if (!lineCore(lines[i])) {
      found.push(
        odd(
          'blank-line',
          i + 1,
          '',
          i + 1 < headerLine
            ? 'A blank line stands before the header. TensorRT 8.6.0 takes such a cache (run); of other releases that is ' +
                'not known: remove the line.'
            : 'A blank line stands between rows. Whether TensorRT reads the rows after it is unverified: remove it.'
        )
      );
    }
  }
  return found;
}

export function valueOddity(kind: ValueKind, line: number, name: string, subject: string): Oddity {
  const [severity, message] = VALUES[kind];
  return odd(kind, line, name, `${subject} of ${quote(name)} ${message}`, severity);
}

function headerOddities({ header, headerLine, rows }: NativeText): Oddity[] {
  const found: Oddity[] = [];
  if (!rows.length) {
    found.push(
      odd(
        'no-rows',
        0,
        '',
        'The file has a header but no rows. Calibrate again, or check what cut it off.',
        'error'
      )
    );
  }
  if (!KNOWN_ALGORITHMS.includes(header.algorithm)) {
    found.push(
      odd(
        'unknown-algorithm',
        headerLine,
        '',
        `No TensorRT calibrator is called ${quote(header.algorithm)} (${KNOWN_ALGORITHMS.join(', ')} are). ` +
          'TensorRT would probably calibrate again: correct the header.'
      )
    );
  }
  if (header.legacy) {
    if (!header.legacy.every(value => value >= 0 && value <= 1)) {
      found.push(
        odd(
          'legacy-numbers',
          headerLine,
          '',
          `The header's quantile ${pythonFloat(header.legacy[0])} and regression cutoff ` +
            `${pythonFloat(header.legacy[1])} should both be from 0 to 1. Check what wrote the file.`
        )
      );
    }
  } else if (!header.version) {
    found.push(
      odd(
        'unknown-version',
        headerLine,
        '',
        `${quote(header.text)} holds no TensorRT version that is known: four digits (8601 for 8.6.1) ` +
          'or six (101601 for 10.16.1). TensorRT would probably calibrate again: correct the header.'
      )
    );
  }
  return found;
}

function valueOddities(rows: CacheRow[]): Oddity[] {
  const magnitude = (bits: number): number => bits % 0x80000000;
  const kinds: [ValueKind, (bits: number) => boolean][] = [
    ['zero', bits => bits === 0],
    ['denormal', bits => bits !== 0 && bits < 0x00800000],
    ['absurd', bits => bits >= ABSURD_BITS && bits < 0x7f800000],
    ['inf', bits => bits === 0x7f800000],
    ['nan', bits => magnitude(bits) > 0x7f800000],
    ['negative', bits => bits >= 0x80000000 && magnitude(bits) <= 0x7f800000]
  ];
  return kinds.flatMap(([kind, is]) =>
    rows.filter(row => is(row.bits)).map(row => valueOddity(kind, row.line, row.name, 'The scale'))
  );
}

function nameOddities(rows: CacheRow[], isUtf8: boolean): Oddity[] {
  const found: Oddity[] = [];
  for (const row of rows) {
    if (!isUtf8 && NOT_UTF8.test(row.name) && hasLoneSurrogate(row.name)) {
      found.push(
        odd(
          'non-utf8',
          row.line,
          row.name,
          `The name ${quote(row.name)} is not UTF-8. Its bytes are kept, but a model's tensor names ` +
            'are UTF-8, so it matches none of them: check the encoding of the file.'
        )
      );
    }
    if (CONTROL.test(row.name)) {
      found.push(
        odd(
          'control-character',
          row.line,
          row.name,
          `The name ${quote(row.name)} holds control characters (a tab or a carriage return, for ` +
            'instance). Check that it is the name in the model.'
        )
      );
    }
  }
  return found;
}

/** Whether a byte that is not UTF-8 is in it, and not only the second half of a character beyond U+FFFF. */
const hasLoneSurrogate = (text: string): boolean => /\p{Cs}/u.test(text);

function duplicates(rows: CacheRow[]): Oddity[] {
  const first = new Map<string, CacheRow>();
  const found: Oddity[] = [];
  for (const row of rows) {
    const before = first.get(row.name);
    if (!before) {
      first.set(row.name, row);
      continue;
    }
    const same = before.bits === row.bits;
    found.push(
      odd(
        'duplicate',
        row.line,
        row.name,
        `${quote(row.name)} stands in line ${before.line} already, ${same ? 'with the same scale' : 'with another scale'}. ` +
          'The last row counts here; which one TensorRT takes is unverified: remove all but one.',
        same ? 'info' : 'error'
      )
    );
  }
  return found;
}

function comments({ text, rows, comments: lines }: NativeText): Oddity[] {
  const found = lines.map(line =>
    odd(
      'comment',
      line,
      '',
      `The line is a comment: ${quote(lineCore(text.lines[line - 1]))}. TensorRT 8.6.0 takes a cache ` +
        'that holds one (run); of other releases that is not known: remove the line if they are to read it.'
    )
  );
  for (const { line, name } of rows) {
    if (name.startsWith(COMMENT)) {
      found.push(
        odd(
          'commented-out',
          line,
          name,
          `${quote(name)} begins with # as a comment does, and is read as the name of a tensor, which may ` +
            'hold anything. If the row was to be left out, remove the line.'
        )
      );
    }
  }
  return found;
}

/** Rows that mean the same but are not written as TensorRT writes them. */
function writingOddities(parsed: NativeText): Oddity[] {
  const found: Oddity[] = [];
  const { lines } = parsed.text;
  for (const row of parsed.rows) {
    const digits = row.bits.toString(16);
    if (row.digits !== digits) {
      found.push(
        odd(
          'odd-digits',
          row.line,
          row.name,
          `The scale of ${quote(row.name)} is written ${row.digits}; TensorRT writes ${digits} (small ` +
            'letters, no leading zeros, no 0x). The number is the same.',
          'info'
        )
      );
    }
    if (withoutReturns(lines[row.line - 1]).length !== row.name.length + 2 + row.digits.length) {
      found.push(
        odd(
          'spacing',
          row.line,
          row.name,
          `The row of ${quote(row.name)} has extra spaces around its scale. Whether TensorRT reads ` +
            'it is unverified: remove them.'
        )
      );
    }
  }
  if (withoutReturns(lines[parsed.headerLine - 1]) !== parsed.header.text) {
    found.push(
      odd('spacing', parsed.headerLine, '', 'The header line ends with spaces. TensorRT may not know it then: remove them.')
    );
  }
  return found;
}

const withoutReturns = (line: string): string => stripRight(line, character => character === '\r');
