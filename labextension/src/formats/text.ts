/** Lines of a text file, and text as Python shows it: the messages are the Python package's, word for word. */

export class FormatError extends Error {}

/** A decimal number as C++ and Python both read it. */
const DECIMAL = /^(?:[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]+)?|[-+]?(?:inf(?:inity)?|nan))$/i;

/** White space as `str.strip()` means it in Python (JavaScript's `\s` is another set). */
export const PYTHON_SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const STRIP = new RegExp(`^[${PYTHON_SPACE}]+|[${PYTHON_SPACE}]+$`, 'g');

export interface TextLines {
  hasBom: boolean;
  /** Without "\n", with the "\r" of Windows; bytes that are not UTF-8 are lone surrogates U+DC80 to U+DCFF. */
  lines: string[];
  isUtf8: boolean;
}

export const isDecimal = (text: string): boolean => DECIMAL.test(text);

export function parseDecimal(text: string): number {
  const word = text.toLowerCase().replace(/^[-+]/, '');
  if (word === 'nan') {
    return NaN;
  }
  if (word === 'inf' || word === 'infinity') {
    return text.startsWith('-') ? -Infinity : Infinity;
  }
  return Number(text);
}

export const strip = (text: string): string => text.replace(STRIP, '');

/** Strip a line's "\r" and the spaces and tabs at its end. */
export function lineCore(line: string): string {
  let end = line.endsWith('\r') ? line.length - 1 : line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) {
    end -= 1;
  }
  return line.slice(0, end);
}

/** Split at the last separator, as `str.rpartition` does: all three are "" but the last where there is none. */
export function rpartition(text: string, separator: string): [string, string, string] {
  const at = text.lastIndexOf(separator);
  return at < 0 ? ['', '', text] : [text.slice(0, at), separator, text.slice(at + separator.length)];
}

export function startsWith(data: Uint8Array, ...bytes: number[]): boolean {
  return bytes.every((byte, i) => data[i] === byte);
}

/** Decode UTF-8; each byte that is not UTF-8 becomes a lone surrogate (Python's "surrogateescape"). */
export function decodeUtf8(data: Uint8Array): { text: string; isUtf8: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data), isUtf8: true };
  } catch {
    return { text: decodeEscaping(data), isUtf8: false };
  }
}

function decodeEscaping(data: Uint8Array): string {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const parts: string[] = [];
  let at = 0;
  while (at < data.length) {
    let end = at;
    while (end < data.length && data[end] < 0x80) {
      end += 1;
    }
    if (end > at) {
      parts.push(strict.decode(data.subarray(at, end)));
      at = end;
      continue;
    }
    const size = data[at] >= 0xf0 ? 4 : data[at] >= 0xe0 ? 3 : 2;
    try {
      parts.push(strict.decode(data.subarray(at, at + size)));
      at += size;
    } catch {
      parts.push(String.fromCharCode(0xdc00 + data[at]));
      at += 1;
    }
  }
  return parts.join('');
}

/** Cut a text file into lines, or say why it is no text file. */
export function decodeLines(data: Uint8Array, source: string): TextLines {
  if (startsWith(data, 0xff, 0xfe) || startsWith(data, 0xfe, 0xff)) {
    throw new FormatError(
      `${source}: the file is UTF-16 text (Windows programs call it 'Unicode'). Save it again as UTF-8 or ANSI.`
    );
  }
  if (startsWith(data, 0x50, 0x4b, 3, 4)) {
    throw new FormatError(
      `${source}: this is a zip file, such as a saved session, not a calibration table. Read a session with ` +
        'CalibrationSession.load or `trtcal report`; its to_cache() makes the cache.'
    );
  }
  if (data.includes(0)) {
    throw new FormatError(
      `${source}: this is a binary file, not a calibration table in text. ` +
        'Check that it is not an ONNX model or a TensorRT engine.'
    );
  }
  const hasBom = startsWith(data, 0xef, 0xbb, 0xbf);
  const body = hasBom ? data.subarray(3) : data;
  if (body.every(isByteSpace)) {
    throw new FormatError(`${source}: the file is empty. Calibrate again, or check the path.`);
  }
  const { text, isUtf8 } = decodeUtf8(body);
  return { hasBom, lines: text.split('\n'), isUtf8 };
}

/** White space among bytes, as `bytes.strip()` means it. */
export const isByteSpace = (byte: number): boolean => byte === 0x20 || (byte >= 9 && byte <= 13);

/** Text from a file as it may stand in a message: on one line, printable, shortened, in quotes. */
export function quote(text: string, limit = 60): string {
  if (text.length > limit) {
    const characters = Array.from(text);
    if (characters.length > limit) {
      const half = Math.floor(limit / 2);
      text = `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}`;
    }
  }
  return pythonRepr(text);
}

const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Zs}]/u;
const NAMED: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `repr()` of a text: also the way to write any text as a Python literal. */
export function pythonRepr(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let shown = '';
  for (const character of text) {
    shown += character === mark ? `\\${mark}` : (NAMED[character] ?? escapeHidden(character));
  }
  return mark + shown + mark;
}

/** A name on one line, without control and invisible characters: these are written as escapes. */
export function printable(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) {
    return text;
  }
  let shown = '';
  for (const character of text) {
    shown += /[\p{C}\p{Zl}\p{Zp}]/u.test(character)
      ? (character === '\\' ? character : (NAMED[character] ?? escapeHidden(character)))
      : character;
  }
  return shown;
}

function escapeHidden(character: string): string {
  if (character === ' ' || !HIDDEN.test(character)) {
    return character;
  }
  const code = character.codePointAt(0)!;
  const hex = (digits: number): string => code.toString(16).padStart(digits, '0');
  return code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
}

/** `repr()` of a float. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  }
  if (Object.is(value, -0)) {
    return '-0.0';
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [mantissa, power] = value.toExponential().split('e');
    return `${mantissa}e${power[0]}${power.slice(1).padStart(2, '0')}`;
  }
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
